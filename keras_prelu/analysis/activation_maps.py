"""Activation maps: where in an image a classifier sees a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.analysis import passes, plots
from keras_prelu.analysis.features import stages_of
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense import dense_model
from keras_prelu.layers import SpatialPyramidPooling
from keras_prelu.pixel_range import warn_if_scaled
from keras_prelu.types import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ActivationMaps", "activation_map"]


class ActivationMaps(NamedTuple):
    """Where each image shows a class: the result of `activation_map`.

    Attributes:
        values: Array of shape `(batch, rows, columns)`, one map per image.
        classes: Array of shape `(batch,)`, the class of each map.
        images: Array of the images, with the channels last.
        stride: Pixels from one value to the next.
        window: Height and width, in values, of the region that a value belongs to.
            The first one begins in the upper left corner of the image.
    """

    values: np.ndarray
    classes: np.ndarray
    images: np.ndarray
    stride: int
    window: tuple[int, int]

    def plot(self, class_names: Sequence[str] | None = None) -> Figure:
        """Draw the maps over their images. It needs the extra `plots`.

        Args:
            class_names: Names of all classes. Defaults to their numbers.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        return plots.draw_activation_maps(self, class_names)


def _logits(model):
    """Return the symbolic output of a classifier, before its softmax if it has one."""
    if not model_surgery.ends_in_softmax(model):
        return model.outputs[0]
    last, (features,), _ = model_surgery.last_call(model)
    if not isinstance(last, keras.layers.Dense):
        return features
    # A copy of the layer, because a quantized kernel alone does not give the logits.
    config = {**last.get_config(), "activation": "linear", "name": None}
    linear = type(last).from_config(config)
    logits = linear(features)
    linear.set_weights(last.get_weights())
    return logits


def _split(model):
    """Split a classifier into a model of its last map, and one from there to logits."""
    last_map = stages_of(model)[-1].map
    trunk = keras.Model(model.inputs[0], last_map)
    top = keras.Model(last_map, _logits(model))
    if any(isinstance(layer, SpatialPyramidPooling) for layer in model.layers):
        trunk, top = model_surgery.any_size(trunk), model_surgery.any_size(top)
    # The passes record layers, so one layer must return the map itself.
    maps = keras.Input(top.inputs[0].shape[1:])
    return trunk, keras.Model(maps, top(keras.layers.Identity(dtype="float32")(maps)))


def _grad_cam(model, images, classes):
    """Return the maps of Grad-CAM, the classes, and the window of a value."""
    trunk, head = _split(model)

    def objective(logits):
        logits = ops.cast(logits, "float32")  # of any dtype, in mixed precision
        chosen = ops.argmax(logits, axis=-1) if classes is None else classes
        return ops.sum(logits * ops.one_hot(chosen, logits.shape[-1]))

    maps, logits = passes.forward_and_back(head, runner(trunk)(images), objective)
    if classes is None:
        classes = ops.convert_to_numpy(logits.response).argmax(axis=-1)
    channels, rows = (1, 2) if model_surgery.is_channels_first(model) else (3, 1)
    weights = ops.mean(maps.gradient, axis=(rows, rows + 1), keepdims=True)
    values = ops.relu(ops.sum(weights * maps.response, axis=channels))
    return ops.convert_to_numpy(values), classes, (1, 1)


def _windows(model, images, classes):
    """Return the scores of all windows, the classes, and the window of a value."""
    dense = dense_model(model, average=False)
    scores = runner(dense)(images)
    if classes is None:
        classes = scores.mean(axis=(1, 2)).argmax(axis=-1)
    values = np.take_along_axis(scores, classes[:, None, None, None], axis=-1)
    return values[..., 0], classes, dense.layers[-1].window


_METHODS = {"grad_cam": _grad_cam, "windows": _windows}


def _check_images(model, images):
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "Argument `images` must be a batch of images, an array of four axes. "
            f"Received: images of shape {images.shape}"
        )
    warn_if_scaled(images, model)


def _one_per_image(classes, count, available):
    """Return an array with one class per image."""
    array = np.asarray(classes)
    if (
        array.dtype.kind not in "iu"
        or array.shape not in ((), (count,))
        or not ((array >= 0) & (array < available)).all()
    ):
        raise ValueError(
            f"Argument `classes` must be one class, or one per image ({count}), from 0 "
            f"to {available - 1}. Received: classes={classes!r}"
        )
    return np.broadcast_to(array, (count,))


def activation_map(
    model: keras.Model,
    images: Tensor,
    classes: int | Sequence[int] | None = None,
    method: str = "grad_cam",
) -> ActivationMaps:
    """Show where in images a classifier sees a class.

    `"grad_cam"` is Grad-CAM on the last feature map. It weights the channels by the
    mean gradient of the class's logit, and keeps the positive part of their sum. It is
    an approximation that works for every classifier, with one value per cell of the
    map.

    `"windows"` is exact: it returns the scores of every window of the image, from
    `keras_prelu.evaluation.dense_model`. It needs a network with spatial pyramid
    pooling, and images at least as large as the network's input.

    Args:
        model: A functional classifier that ends in a softmax or in logits.
        images: Images of one size: an array of shape `(batch, height, width, 3)`,
            integers or floats as the model takes them. Networks of
            `keras_prelu.applications` take any size.
        classes: The class of the maps, or one class per image. Defaults to the best
            class of each image, for `"windows"` by the mean score of its windows.
        method: `"grad_cam"` or `"windows"`. Defaults to `"grad_cam"`.

    Returns:
        `ActivationMaps`. Its method `plot` draws them over the images.

    Examples:
        >>> model = keras_prelu.applications.ModelA(weights="shapes")
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3))
        >>> maps = keras_prelu.analysis.activation_map(model, images)
        >>> maps.values.shape, maps.classes.shape
        ((2, 4, 6), (2,))
        >>> keras_prelu.analysis.activation_map(
        ...     model, images, classes=3, method="windows"
        ... ).values.shape
        (2, 2, 4)

    Reference:
        [Selvaraju et al., 2017](https://arxiv.org/abs/1610.02391), section 3;
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """
    if not isinstance(method, str) or method not in _METHODS:
        raise ValueError(
            f"Argument `method` must be one of {', '.join(map(repr, _METHODS))}. "
            f"Received: method={method!r}"
        )
    images = ops.convert_to_numpy(images)
    stride = stages_of(model)[-1].stride  # also checks the model
    _check_images(model, images)
    chosen = None
    if classes is not None:
        chosen = _one_per_image(classes, len(images), model.output_shape[-1])
    values, shown, window = _METHODS[method](model, images, chosen)
    if model_surgery.is_channels_first(model):
        images = images.transpose(0, 2, 3, 1)
    return ActivationMaps(values, shown, images, stride, window)
