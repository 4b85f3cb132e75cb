"""What a SavedModel answers: functions from images, decoded or encoded, to scores."""

import tensorflow as tf

from keras_prelu import model_surgery
from keras_prelu.data.decoding import MAX_PIXELS
from keras_prelu.evaluation import dense_model
from keras_prelu.export import image_ops
from keras_prelu.export.checks import for_its_sizes


class Served(tf.Module):
    """A classifier as TensorFlow functions; no Keras object is kept.

    Args:
        model: A `keras.Model`, channels last, that ends in a softmax.
        labels: Path of a file of class names, one per line.
        top_k: How many classes to name.
        side: Side of the crop that is scored.
        scale: The shorter side that encoded images are resized to.
        dense_scales: The same for dense testing; empty for none.
        on_error: `"raise"` or `"mark"`.
    """

    def __init__(self, model, labels, top_k, side, scale, dense_scales, on_error):
        super().__init__(name=model.name)
        self._variables = [variable.value for variable in model.variables]
        self._labels = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(labels),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            default_value="",
        )
        self._top_k = top_k
        self._on_error = on_error
        self.functions = self._functions(model, side, scale, dense_scales)

    def _functions(self, model, side, scale, dense_scales):
        net = for_its_sizes(model)

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
            good, crops = _one_by_one(crop, image_bytes, crops)
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
            """Scores one image, over all scales and mirrored."""
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
            return self._best(*_one_by_one(score, image_bytes, scores))

        return dense

    def _best(self, good, scores):
        """Names the best classes of the images; the rows of bad ones are marked."""
        if self._on_error == "raise":
            check = tf.debugging.Assert(
                tf.reduce_all(good),
                [
                    "image_bytes must hold JPEG, PNG, GIF, BMP or WebP images of at "
                    f"most {MAX_PIXELS} pixels, for dense testing "
                    f"{image_ops.MAX_RESIZED_PIXELS} resized. Cannot be decoded: rows",
                    tf.where(~good)[:, 0],
                ],
                summarize=100,
            )
            with tf.control_dependencies([check]):
                scores = tf.identity(scores)
        best = tf.math.top_k(tf.cast(scores, tf.float32), self._top_k)
        names = self._labels.lookup(tf.cast(best.indices, tf.int64))
        return {
            "classes": tf.where(good[:, None], names, ""),
            "scores": tf.where(good[:, None], best.values, 0.0),
        }


def _at_least_one(images):
    """Adds a blank image to an empty batch: oneDNN's convolutions fail on none."""
    count, *size = tf.unstack(tf.shape(images))
    missing = tf.cast(count == 0, tf.int32)
    blank = tf.zeros(tf.stack([missing, *size]), images.dtype)
    return tf.ensure_shape(tf.concat([images, blank], axis=0), images.shape)


def _one_by_one(function, image_bytes, spec):
    """Applies a function to one encoded image after another.

    Memory holds one decoded image, whatever the batch.

    Args:
        function: From a scalar string tensor to a boolean and a tensor.
        image_bytes: A string tensor of shape `(batch,)`.
        spec: `tf.TensorSpec` of the tensor.

    Returns:
        The booleans and the tensors, stacked.
    """
    return tf.map_fn(
        function,
        image_bytes,
        fn_output_signature=(tf.TensorSpec([], tf.bool), spec),
        parallel_iterations=1,
    )
