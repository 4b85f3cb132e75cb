"""The signatures of a SavedModel: functions from images to scores."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_prelu import model_surgery
from keras_prelu.data.decoding import MAX_PIXELS
from keras_prelu.evaluation import dense_model
from keras_prelu.export import image_ops
from keras_prelu.export.checks import for_its_sizes
from keras_prelu.types import Tensor

__all__ = ["Served", "all_decoded", "label_table", "one_by_one"]

_GOOD = tf.TensorSpec([], tf.bool)  # whether an image could be decoded


class Served(tf.Module):
    """A classifier as TensorFlow functions, without any Keras object.

    Args:
        model: A `keras.Model`, channels last, that ends in a softmax.
        labels: Path of a file of class names, one per line.
        top_k: Number of classes to name.
        scale: The shorter side that encoded images are resized to.
        dense_scales: The shorter sides for dense testing. Empty for no such signature.
        on_error: `"raise"` or `"mark"`; see `keras_prelu.export.saved_model`.

    Attributes:
        functions: Dict from the names of the signatures to concrete functions.
    """

    def __init__(
        self,
        model: keras.Model,
        labels: pathlib.Path,
        top_k: int,
        scale: int,
        dense_scales: Sequence[int],
        on_error: str,
    ) -> None:
        super().__init__(name=model.name)
        self._variables = [variable.value for variable in model.variables]
        self._labels = label_table(labels)
        self._top_k = top_k
        self._on_error = on_error
        self.functions = self._functions(model, scale, dense_scales)

    def _functions(self, model, scale, dense_scales):
        net = for_its_sizes(model)
        side = model_surgery.input_size(model)[0]

        def score(images):
            count = tf.shape(images)[0]
            images = tf.cast(_at_least_one(images), net.inputs[0].dtype)
            return net(images, training=False)[:count]

        def scores(images):
            return {"scores": tf.cast(score(images), tf.float32)}

        def crop(data):
            return image_ops.decoded(
                data,
                lambda pixels: image_ops.resize(pixels, scale, side),
                blank=tf.zeros([side, side, 3], tf.uint8),
            )

        def classify(image_bytes):
            crops = tf.TensorSpec([side, side, 3], tf.uint8)
            good, crops = one_by_one(crop, image_bytes, (_GOOD, crops))
            return self._best(good, score(crops))

        shape = net.inputs[0].shape
        strings = tf.TensorSpec([None], tf.string, name="image_bytes")
        functions = {
            "serving_default": (scores, tf.TensorSpec(shape, tf.float32, "images")),
            "serving_uint8": (scores, tf.TensorSpec(shape, tf.uint8, "images")),
            "classify": (classify, strings),
        }
        if dense_scales:
            functions["dense"] = (self._dense(model, dense_scales), strings)
        return {
            name: tf.function(function).get_concrete_function(spec)
            for name, (function, spec) in functions.items()
        }

    def _dense(self, model, scales):
        net = dense_model(model)
        classes, side = net.output_shape[-1], model_surgery.input_size(model)[0]
        blank = tf.zeros([side, side, 3], tf.uint8)

        def at_all_scales(pixels):
            return tuple(image_ops.resize(pixels, scale) for scale in scales)

        def score(data):
            """Return the mean scores of an image over all scales and mirror images."""
            good, images = image_ops.decoded(
                data, at_all_scales, blank=(blank,) * len(scales)
            )
            total = 0.0
            for image in images:
                image = tf.cast(image, tf.float32)
                views = tf.stack([image, image[:, ::-1]])
                total += tf.reduce_mean(net(views, training=False), axis=0)
            return good, tf.cast(total / len(scales), tf.float32)

        def dense(image_bytes):
            scores = tf.TensorSpec([classes], tf.float32)
            return self._best(*one_by_one(score, image_bytes, (_GOOD, scores)))

        return dense

    def _best(self, good, scores):
        """Return the best classes of each image, and mark rows without an image."""
        if self._on_error == "raise":
            limits = f", for dense testing at most {image_ops.MAX_RESIZED_PIXELS} after"
            with tf.control_dependencies([all_decoded(good, f"{limits} resizing")]):
                scores = tf.identity(scores)
        best = tf.math.top_k(tf.cast(scores, tf.float32), self._top_k)
        names = self._labels.lookup(tf.cast(best.indices, tf.int64))
        return {
            "classes": tf.where(good[:, None], names, ""),
            "scores": tf.where(good[:, None], best.values, 0.0),
        }


def _at_least_one(images):
    """Add a blank image to an empty batch, on which oneDNN's convolutions fail."""
    count, *size = tf.unstack(tf.shape(images))
    missing = tf.cast(count == 0, tf.int32)
    blank = tf.zeros(tf.stack([missing, *size]), images.dtype)
    return tf.ensure_shape(tf.concat([images, blank], axis=0), images.shape)


def label_table(path: pathlib.Path) -> tf.lookup.StaticHashTable:
    """Return a table from int64 classes to their names, `""` for other integers.

    Args:
        path: Path of a file of class names, one per line.
    """
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(path),
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        ),
        default_value="",
    )


def all_decoded(good: Tensor, limits: str) -> tf.Operation:
    """Return an op that fails and names the rows if images could not be decoded.

    Args:
        good: A boolean tensor of shape `(batch,)`, whether an image could be decoded.
        limits: Text about limits of the size after resizing, for the message.
    """
    return tf.debugging.Assert(
        tf.reduce_all(good),
        [
            "`image_bytes` must be JPEG, PNG, GIF, BMP or WebP images of at most "
            f"{MAX_PIXELS} pixels{limits}. Cannot be decoded: rows",
            tf.where(~good)[:, 0],
        ],
        summarize=100,
    )


def one_by_one(
    function: Callable[[Any], Any], elements: Any, specs: tuple
) -> tuple[Tensor, ...]:
    """Apply a function to one encoded image after another.

    So only one decoded image is in memory, whatever the batch size.

    Args:
        function: From the elements of one image to a tuple of tensors.
        elements: A string tensor of shape `(batch,)`, or a tuple of tensors.
        specs: `tf.TensorSpec`s of the function's tensors.

    Returns:
        The stacked tensors.
    """
    return tf.map_fn(
        function, elements, fn_output_signature=specs, parallel_iterations=1
    )
