"""The paper's test protocols: the views of an image, and a model's scores of them."""

from collections.abc import Callable

import keras
import numpy as np

from keras_prelu import model_surgery
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense_scores import DenseScores

__all__ = ["PROTOCOLS", "Scorer", "flips_by_default", "input_side"]


def _whole(images, side):
    return [images]


def _corners_and_center(images, side):
    bottom, right = images.shape[1] - side, images.shape[2] - side
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return [
        images[:, top : top + side, left : left + side]
        for top, left in [*corners, (bottom // 2, right // 2)]
    ]


# Functions from a batch to its views, without mirror images, for each protocol. For
# "center", the images are cropped when they are read.
PROTOCOLS = {"center": _whole, "ten_view": _corners_and_center, "dense": _whole}


def flips_by_default(protocol: str) -> bool:
    """Return whether a protocol averages over mirror images unless told otherwise.

    Ten views are five crops and their mirror images. The center crop is one view.
    """
    return protocol != "center"


def input_side(model: keras.Model) -> int:
    """Return the height and width of a model's input, which must be square and RGB."""
    height, width = model_surgery.input_size(model)
    shape = model.inputs[0].shape
    channels = shape[1 if model_surgery.is_channels_first(model) else -1]
    if height != width or channels != 3:
        raise ValueError(
            "Argument `model_or_models` must take square RGB images. "
            f"Received: a model with an input of shape {tuple(shape)}"
        )
    return height


class Scorer:
    """The scores of one model, averaged over the views of each image.

    Args:
        model: A classifier.
        protocol: A key of `PROTOCOLS`.
        flip: Whether to average over mirror images too.
        batch_size: Number of images of the model's input size per batch.

    Attributes:
        side: The model's input size.
        classes: The number of its classes.
        strategy: The strategy that the model was made under, or `None`.
    """

    def __init__(
        self, model: keras.Model, protocol: str, flip: bool, batch_size: int
    ) -> None:
        self.side = input_side(model)
        self.classes = model.output_shape[-1]
        self.strategy = getattr(model, "distribute_strategy", None)
        self._first = model_surgery.is_channels_first(model)
        self._views = PROTOCOLS[protocol]
        self._flip = flip
        self._crop = self.side if protocol == "center" else None
        self._score: Callable[[np.ndarray], np.ndarray]
        if protocol == "dense":
            pixels = batch_size * self.side**2
            self._score = DenseScores(model, pixels, self.strategy)
        else:
            self._score = runner(model_surgery.softmax_scores(model), self.strategy)

    def view(self, scale: int) -> tuple[int | None, int]:
        """Return the view to read of each image at a scale; see `image_batches`."""
        return self._crop, scale

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return scores of shape `(batch, classes)`."""
        views = self._views(images, self.side)
        if self._flip:
            views += [view[:, :, ::-1] for view in views]
        return np.mean([self._score(self._in_layout(view)) for view in views], axis=0)

    def _in_layout(self, images):
        return images.transpose(0, 3, 1, 2) if self._first else images
