"""SavedModels of classifiers for TF Serving."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_prelu import model_surgery
from keras_prelu.export import cards, version_files, versions
from keras_prelu.export.checks import (
    check_class_names,
    check_model,
    check_on_error,
    once_positional,
)
from keras_prelu.export.signatures import Served
from keras_prelu.number_checks import check_integer, is_integer
from keras_prelu.types import PathLike

__all__ = ["saved_model"]

_SCALE = 256 / 224  # the paper resizes images to 256 for crops of 224


def _check(model, top_k, scale, dense_scales, on_error, version):
    side = model_surgery.input_size(model)[0]
    check_integer("top_k", top_k, 1)
    for name, value, scales in (
        ("scale", scale, (scale,)),
        ("dense_scales", dense_scales, dense_scales),
    ):
        if not np.iterable(scales) or not all(is_integer(x, side) for x in scales):
            kind = "integers" if name == "dense_scales" else "an integer"
            raise ValueError(
                f"Argument `{name}` must be {kind} of at least {side}, the model's "
                f"input size. Received: {name}={value!r}"
            )
    check_on_error(on_error)
    versions.check(version)


@once_positional("class_names")
def saved_model(
    model: keras.Model,
    path: PathLike,
    *,
    class_names: Sequence[str] | None = None,
    top_k: int = 5,
    scale: int | None = None,
    dense_scales: Sequence[int] = (),
    on_error: str = "raise",
    version: int | None = None,
    card: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Write a model for TF Serving, with all preprocessing inside.

    Writes a SavedModel in numbered versions, as TF Serving expects: `path/1`, then
    `path/2` and so on. A version appears complete or not at all. It can be loaded with
    `tf.saved_model.load`, without this package and without Keras. Its signatures are:

    - `serving_default`: From `images`, float32 RGB in [0, 255], of any batch size and
      of any image size that the net takes, to `scores`. JSON integers are accepted.
    - `serving_uint8`: The same for uint8 images, with a quarter of the bytes.
    - `classify`: From `image_bytes`, a string tensor of encoded JPEG, PNG, GIF, BMP or
      WebP images of any sizes, to the `classes` and `scores` of the best `top_k`.
      Images are decoded, resized and cropped as `keras_prelu.data.eval_batches` does.
    - `dense`, if `dense_scales` are given: The same by dense testing, averaged over the
      scales and over mirror images, as `keras_prelu.evaluation.evaluate` does.

    `assets/labels.txt` contains the class names. `assets.extra/` contains the model
    card, and the requests that warm up the server. Without tensorflow-serving-api the
    requests are left out, and a warning and the model card say so.

    Args:
        model: A classifier of square RGB images that ends in a softmax or in logits. A
            softmax is added to logits. Nets of `keras_prelu.applications` are exported
            for images of any size, other models for images of their input size.
        path: Folder of the versions. It is made if it does not exist.
        class_names: Names of the classes. Defaults to their numbers.
        top_k: Number of classes to name. Defaults to 5.
        scale: The shorter side that images are resized to before the center crop.
            Defaults to 256/224 of the model's input size.
        dense_scales: The shorter sides for dense testing. Defaults to none.
        on_error: How to handle images that cannot be decoded. `"raise"`, the default:
            the request fails with an error that names their rows. `"mark"`: in their
            rows all classes are `""` and all scores are 0.
        version: Number of the version. Defaults to the one after the last.
        card: Dict of statements for the model card, with any of the keys `data`,
            `protocol`, `scores`, `command`, `licence` and `intended_use`. JSON must be
            able to hold the values. The card says "not stated" for the other keys.

    Returns:
        The folder of the version, a `pathlib.Path`.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> version = keras_prelu.export.saved_model(
        ...     model, "pets", class_names=["cat", "dog"]
        ... )
        >>> served = tf.saved_model.load(version)
        >>> photo = tf.io.read_file("photos/cat/0.jpg")
        >>> best = served.signatures["classify"](image_bytes=photo[None])
        >>> best["classes"].shape
        TensorShape([1, 2])
    """
    model = check_model(model)
    classes, side = model.output_shape[-1], model_surgery.input_size(model)[0]
    scale = round(_SCALE * side) if scale is None else scale
    check_class_names(class_names, classes)
    _check(model, top_k, scale, dense_scales, on_error, version)
    # JSON knows no integers of NumPy.
    scale, dense_scales = int(scale), list(map(int, dense_scales))
    cards.check(card)
    path = pathlib.Path(path)
    versions.new_version(path, version)  # refuse it before anything is written
    names = [str(i) for i in range(classes)] if class_names is None else class_names
    with version_files.labels(names) as labels:
        top_k = min(top_k, classes)
        served = Served(model, labels, top_k, scale, dense_scales, on_error)
        return version_files.write(
            served,
            path,
            version,
            _examples(served, side),
            lambda **facts: cards.describe(
                model,
                class_names,
                card,
                **facts,
                scale=scale,
                dense_scales=dense_scales,
                on_error=on_error,
            ),
        )


def _examples(served, side):
    """Return the inputs of one request per signature, with a grey image."""
    grey = tf.fill([side, side, 3], tf.constant(128, tf.uint8))
    encoded = tf.io.encode_jpeg(grey)
    examples = {}
    for name, function in served.functions.items():
        (spec,), _ = function.structured_input_signature
        image = encoded if spec.dtype == tf.string else tf.cast(grey, spec.dtype)
        examples[name] = {spec.name: image[None]}
    return examples
