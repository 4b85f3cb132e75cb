"""Feature maps: the output of each stage of a network."""

from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_prelu import keras_internals, model_surgery
from keras_prelu.number_checks import is_integer

__all__ = ["Features", "Stage", "features", "stages_of"]

# Sides of images whose maps are compared. All usual strides divide them.
_SIDES = (960, 1920)


class Features(NamedTuple):
    """The feature maps of a network.

    Attributes:
        model: A `keras.Model` from images of any size to a list of maps, one per stage.
        layers: Names of the layers whose outputs the maps are.
        strides: Pixels per cell of each map.
        channels: Channels of each map.
    """

    model: keras.Model
    layers: list[str]
    strides: list[int]
    channels: list[int]


class Stage(NamedTuple):
    """A layer, the map that it returns, and the pixels per cell of the map."""

    layer: keras.layers.Layer
    map: keras.KerasTensor
    stride: int


def _maps(model):
    """Return all maps of a model, each with its layer and stride: 0 if it is constant.

    A map grows by one cell whenever the image grows by the stride. This holds for every
    kind of padding.
    """
    first = model_surgery.is_channels_first(model)
    calls = [
        call
        for call in keras_internals.calls(model)
        if isinstance(call.operation, keras.layers.Layer)
        and [len(x.shape) for x in call.outputs] == [4]
        # Padding belongs to the next convolution.
        and not isinstance(call.operation, keras.layers.ZeroPadding2D)
    ]
    maps = [call.outputs[0] for call in calls]
    net = model_surgery.any_size(keras.Model(model.inputs, maps))
    channels = net.inputs[0].shape[1 if first else -1]

    def heights(side):
        shape = (1, channels, side, side) if first else (1, side, side, channels)
        return [x[2 if first else 1] for x in net.compute_output_shape(shape)]

    more_pixels = _SIDES[1] - _SIDES[0]
    growths = [b - a for a, b in zip(*map(heights, _SIDES), strict=True)]
    return [
        Stage(call.operation, x, round(more_pixels / growth) if growth else 0)
        for call, x, growth in zip(calls, maps, growths, strict=True)
    ]


def stages_of(model: keras.Model) -> list[Stage]:
    """Return the stages of a network: runs of layers with one stride.

    Args:
        model: A functional `keras.Model` of images with convolutions.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=10)
        >>> [(stage.layer.name, stage.stride) for stage in stages_of(model)]
        [('prelu1', 2), ('prelu2_4', 6), ('prelu3_6', 12)]
    """
    groups: dict[int, list[Stage]] = {}
    for stage in _maps(model):
        groups.setdefault(stage.stride, []).append(stage)
    stages = [
        group[-1]
        for stride, group in groups.items()
        if stride and any(hasattr(x.layer, "kernel_size") for x in group)
    ]
    if not stages:
        raise ValueError(
            "Argument `model` must have convolutions in its own graph, not in a nested "
            f"model. Received: model={model!r}"
        )
    return stages


def features(model: keras.Model, stages: Sequence[int] | None = None) -> Features:
    """Build a model that returns the feature maps of a network's stages.

    A stage is a run of layers with the same stride: a pooling or a convolution with
    strides begins the next one. The map of a stage is the output of its last layer.
    Stages are numbered from 1, like the layers of `keras_prelu.applications`:
    `prelu3_5` belongs to stage 3.

    The new model shares the layers of `model`, and takes images of any size, also if
    `model` does not.

    Args:
        model: A functional `keras.Model` of images, with its top or without: a network
            of `keras_prelu.applications`, `keras.applications` or your own.
        stages: Numbers of the stages to return. Defaults to all stages.

    Returns:
        `Features`: the model, and the layer names, strides and channels of its maps.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=10)
        >>> features = keras_prelu.analysis.features(model)
        >>> features.layers
        ['prelu1', 'prelu2_5', 'prelu3_5', 'prelu4_5']
        >>> features.strides, features.channels
        ([2, 4, 8, 16], [2, 4, 8, 8])
        >>> [tuple(x.shape) for x in features.model(np.zeros((1, 64, 96, 3)))]
        [(1, 32, 48, 2), (1, 16, 24, 4), (1, 8, 12, 8), (1, 4, 6, 8)]
    """
    available = stages_of(model)
    numbers = range(1, len(available) + 1)
    if stages is None:
        stages = numbers
    if (
        not isinstance(stages, Sequence)
        or not stages
        or not all(is_integer(stage) and stage in numbers for stage in stages)
    ):
        raise ValueError(
            "Argument `stages` must be a list of at least one integer from 1 to "
            f"{len(available)}. "
            f"Received: stages={stages!r}"
        )
    chosen = [available[stage - 1] for stage in stages]
    outputs = [stage.map for stage in chosen]
    axis = 1 if model_surgery.is_channels_first(model) else -1
    return Features(
        model_surgery.any_size(keras.Model(model.inputs, outputs, name=model.name)),
        [stage.layer.name for stage in chosen],
        [stage.stride for stage in chosen],
        [output.shape[axis] for output in outputs],
    )
