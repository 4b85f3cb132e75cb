"""The losses of Fast R-CNN."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_prelu.detection.detector import BACKGROUND, DELTAS, check_detector
from keras_prelu.types import Tensor

__all__ = ["DeltaLoss", "losses"]


@keras.saving.register_keras_serializable("keras_prelu")
class DeltaLoss(keras.losses.Loss):
    """Smooth L1 loss of the normalized deltas of the true class.

    Regions of the background have a loss of 0, and count in the mean.

    Args:
        std: Four numbers that the deltas are divided by.
        **kwargs: Arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: Tensor of shape `(batch, regions, 5)`: the label of each region (0 for
            the background, 1 + c for class c) and its four deltas.
        y_pred: Tensor of shape `(batch, regions, classes, 4)`.

    Examples:
        >>> loss = keras_prelu.detection.DeltaLoss(std=(1, 1, 1, 1))
        >>> float(loss(np.array([[[2, 0, 0, 0, 3.0]]]), np.zeros((1, 1, 5, 4))))
        2.5

    Reference:
        [Girshick, 2015](https://arxiv.org/abs/1504.08083), section 2.3
    """

    def __init__(
        self, std: Sequence[float], name: str = "delta_loss", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.std = tuple(map(float, std))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each region."""
        labels = ops.cast(y_true[..., 0], "int32")
        classes = ops.maximum(labels - 1, 0)[..., None, None]
        deltas = ops.take_along_axis(y_pred, classes, axis=2)[..., 0, :]
        std = ops.convert_to_tensor(self.std, deltas.dtype)
        # Huber's loss with delta=1 is the mean of the smooth L1 loss.
        smooth_l1 = 4 * keras.losses.huber(y_true[..., 1:] / std, deltas / std)
        return ops.where(labels == BACKGROUND, 0.0, smooth_l1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "std": self.std}


def losses(detector: keras.Model) -> dict[str, keras.losses.Loss]:
    """Return the losses to compile a detector with.

    Args:
        detector: A detector of `keras_prelu.detection.fast_rcnn`.

    Examples:
        >>> net = keras_prelu.applications.ModelA(width=1 / 64, classes=5)
        >>> detector = keras_prelu.detection.fast_rcnn(net, classes=20)
        >>> detector.compile("sgd", loss=keras_prelu.detection.losses(detector))
    """
    check_detector(detector)
    std = detector.get_layer(DELTAS).scale
    return {
        "scores": keras.losses.SparseCategoricalCrossentropy(),
        "deltas": DeltaLoss(std),
    }
