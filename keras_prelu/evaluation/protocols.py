"""The paper's test protocols: the views of an image, and a model's scores of them."""

from collections.abc import Callable

import keras
import numpy as np

from keras_prelu import model_surgery
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense_scores import DenseScores
from keras_prelu.evaluation.image_batches import View

__all__ = ["PROTOCOLS", "Scorer", "flips_by_default", "input_side"]


PROTOCOLS = ("center", "ten_view", "dense")


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
        protocol: One of `PROTOCOLS`.
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
        self._flip = flip
        self._corners = protocol == "ten_view"
        self._crop = None if protocol == "dense" else self.side
        self._score: Callable[[np.ndarray], np.ndarray]
        if protocol == "dense":
            pixels = batch_size * self.side**2
            self._score = DenseScores(model, pixels, self.strategy)
        else:
            self._score = runner(model_surgery.softmax_scores(model), self.strategy)

    def view(self, scale: int) -> View:
        """Return the view to read of each image at a scale."""
        return View(scale, self._crop, self._corners)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return scores of shape `(batch, classes)`."""
        views = list(images.swapaxes(0, 1)) if self._corners else [images]
        if self._flip:
            views += [view[:, :, ::-1] for view in views]
        return np.mean([self._score(self._in_layout(view)) for view in views], axis=0)

    def _in_layout(self, images):
        return images.transpose(0, 3, 1, 2) if self._first else images
