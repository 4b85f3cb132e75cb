"""What a SavedModel answers: functions from images, or encoded pictures, to scores."""

import tensorflow as tf

from keras_prelu.evaluation import dense_model
from keras_prelu.export import encoded
from keras_prelu.export.models import for_its_sizes


class Served(tf.Module):
    """A classifier as TensorFlow functions; no Keras object is kept.

    Args:
        model: A `keras.Model`, channels last, that ends in a softmax.
        labels: Path of a file of class names, a line each.
        top_k: How many classes to name.
        side: Side of the crop that is scored.
        scale: The shorter side that encoded pictures are resized to.
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
            return net(tf.cast(images, net.inputs[0].dtype), training=False)

        def scores(images):
            return {"scores": tf.cast(score(images), tf.float32)}

        def classify(image_bytes):
            good, crops = encoded.decoded(
                image_bytes,
                lambda pixels: encoded.resize(pixels, scale, side),
                blank=tf.zeros([side, side, 3], tf.uint8),
            )
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

        def score(data):
            """Scores one picture, over all scales and mirrored."""
            pixels = tf.ensure_shape(
                tf.io.parse_tensor(data, tf.uint8), [None, None, 3]
            )
            total = 0.0
            for scale in scales:
                image = tf.cast(encoded.resize(pixels, scale), tf.float32)
                views = tf.stack([image, image[:, ::-1]])
                total += tf.reduce_mean(net(views, training=False), axis=0)
            return tf.cast(total / len(scales), tf.float32)

        def dense(image_bytes):
            # Serialized, since pictures of several sizes are no batch.
            good, pictures = encoded.decoded(
                image_bytes,
                tf.io.serialize_tensor,
                blank=tf.io.serialize_tensor(tf.zeros([1, 1, 3], tf.uint8)),
            )
            classes = net.output_shape[-1]
            scores = tf.map_fn(
                score, pictures, fn_output_signature=tf.TensorSpec([classes])
            )
            return self._best(good, scores)

        return dense

    def _best(self, good, scores):
        """Names the best classes of the pictures; the rows of bad ones are marked."""
        if self._on_error == "raise":
            check = tf.debugging.Assert(
                tf.reduce_all(good),
                [
                    "image_bytes must hold JPEG, PNG, GIF, BMP or WebP pictures. "
                    "Cannot be decoded: rows",
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
