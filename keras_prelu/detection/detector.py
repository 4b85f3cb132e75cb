"""Fast R-CNN: a classifier turned into a detector of objects."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.layers import RegionPooling
from keras_prelu.number_checks import check_integer
from keras_prelu.types import Tensor

__all__ = ["BACKGROUND", "DELTAS", "Regions", "check_detector", "fast_rcnn"]

BACKGROUND = 0  # the index of its score; class c has the index 1 + c
DELTAS = "deltas"  # name of the layer that un-normalizes the deltas


@keras.saving.register_keras_serializable("keras_prelu")
class Regions(keras.layers.Layer):
    """Reshaping of one row per region to `(batch, regions, ...)`.

    Args:
        shape: Sequence of integers, the shape of the result for a region.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        rows: Tensor of shape `(batch * regions, values)`.
        boxes: Tensor of shape `(batch, regions, 4)`.
    """

    def __init__(self, shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, rows_shape: Any, boxes_shape: Any) -> None:
        """Build nothing: the layer has no weights."""

    def call(self, rows: Tensor, boxes: Tensor) -> Tensor:
        """Reshape the rows."""
        return ops.reshape(rows, (-1, ops.shape(boxes)[1], *self.shape))

    def compute_output_shape(self, rows_shape: Any, boxes_shape: Any) -> tuple:
        """Return `(batch, regions, *shape)`."""
        return (*boxes_shape[:2], *self.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "shape": self.shape}


def fast_rcnn(
    model: keras.Model,
    classes: int,
    delta_mean: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    delta_std: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
) -> keras.Model:
    """Build a Fast R-CNN detector from a trained net.

    The detector has the net's convolutions, and its fully connected layers up to the
    last one, with the same weights. `RegionPooling` takes the place of spatial pyramid
    pooling and keeps all its bins. Two new layers follow: scores of the classes and of
    the background (Gaussian with standard deviation 0.01), and for each class the
    deltas that move a box onto the object (0.001).

    Args:
        model: A net of `keras_prelu.applications` with its top. It is not changed, and
            shares no weights with the detector.
        classes: Integer, the number of classes without the background.
        delta_mean: Four numbers. The new layer learns deltas that are normalized by
            their mean and standard deviation, see
            `keras_prelu.detection.delta_statistics`. Defaults to 0.
        delta_std: Four numbers, the standard deviations. Defaults to 0.1, 0.1, 0.2,
            0.2.

    Returns:
        A `keras.Model`. It takes a dict with

        - `"images"`: images of any size in [0, 255], of shape `(batch, height, width,
          3)`. Sides should be multiples of 32, by padding at the bottom and right;
        - `"boxes"`: proposed boxes `(x1, y1, x2, y2)` in pixels of these images, of
          shape `(batch, regions, 4)`.

        It returns a dict with

        - `"scores"`: the softmax over the background, at index 0, and the classes, of
          shape `(batch, regions, 1 + classes)`;
        - `"deltas"`: for each class the shift of the box's center as fractions of its
          width and height, and the logarithms of the factors of width and height, of
          shape `(batch, regions, classes, 4)`.

        `keras_prelu.detection.detect` makes detections from them.

    Examples:
        >>> model = keras_prelu.applications.ModelA(width=1 / 64, classes=5)
        >>> detector = keras_prelu.detection.fast_rcnn(model, classes=20)
        >>> outputs = detector({
        ...     "images": np.zeros((1, 96, 128, 3)),
        ...     "boxes": np.array([[[0, 0, 128, 96], [10, 10, 60, 60]]])})
        >>> tuple(outputs["scores"].shape), tuple(outputs["deltas"].shape)
        ((1, 2, 21), (1, 2, 20, 4))

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2;
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """
    check_integer("classes", classes, 1)
    classes = int(classes)  # Keras takes no integers of NumPy
    trunk, pooling, top, _ = model_surgery.split(model)
    stride, offset = model_surgery.cell_centers(trunk)
    new_trunk = keras.models.clone_model(trunk)
    new_trunk.set_weights(trunk.get_weights())
    images, maps = new_trunk.inputs[0], new_trunk.outputs[0]
    boxes = keras.Input((None, 4), dtype="float32", name="boxes")
    pooled = RegionPooling(
        pooling.levels, stride, pooling.data_format, offset, name="region_pooling"
    )(maps, boxes)
    features = ops.reshape(pooled, (-1, pooled.shape[-1]))
    for layer in _fully_connected(pooling, top):
        new_layer = layer.__class__.from_config(layer.get_config())
        features = new_layer(features)
        new_layer.set_weights(layer.get_weights())

    scores = keras.layers.Dense(
        1 + classes, kernel_initializer=_gaussian(0.01), name="region_scores"
    )(features)
    scores = Regions((1 + classes,), name="scores_by_region")(scores, boxes)
    scores = keras.layers.Softmax(dtype="float32", name="scores")(scores)
    deltas = keras.layers.Dense(
        4 * classes, kernel_initializer=_gaussian(0.001), name="region_deltas"
    )(features)
    deltas = Regions((classes, 4), name="deltas_by_region")(deltas, boxes)
    deltas = keras.layers.Rescaling(
        list(delta_std), list(delta_mean), dtype="float32", name=DELTAS
    )(deltas)
    return keras.Model(
        {"images": images, "boxes": boxes},
        {"scores": scores, "deltas": deltas},
        name=f"fast_rcnn_{model.name}",
    )


def _gaussian(std):
    return keras.initializers.RandomNormal(stddev=std)


def _fully_connected(pooling, top):
    """Return the layers between the pooling and the last Dense layer."""
    dense = [layer for layer in top.layers if isinstance(layer, keras.layers.Dense)]
    if len(dense) < 2:
        raise ValueError(
            "Argument `model` must have a Dense layer before its classifier. Received: "
            f"a model whose top has {len(dense)}"
        )
    return keras.Model(pooling.output, dense[-1].input).layers[1:]


def check_detector(detector: Any) -> None:
    """Raise an error for a model that is not a detector of `fast_rcnn`.

    Args:
        detector: Any object.
    """
    is_detector = (
        model_surgery.is_functional(detector)
        and isinstance(getattr(detector, "input", None), dict)
        and isinstance(detector.output, dict)
        and set(detector.input) == {"images", "boxes"}
        and set(detector.output) == {"scores", "deltas"}
    )
    if not is_detector:
        raise ValueError(
            "Argument `detector` must be a model that "
            "`keras_prelu.detection.fast_rcnn` returns. "
            f"Received: detector={detector!r}"
        )
