"""SavedModels for TF Serving."""

import errno
import pathlib
import re
import tempfile

import tensorflow as tf

from keras_prelu import model_surgery
from keras_prelu.export import cards, warmup
from keras_prelu.export.checks import check_class_names, check_model
from keras_prelu.export.signatures import Served
from keras_prelu.files import appear, filling

_LAST_VERSION = 2**63 - 1  # TF Serving counts in 64 bits
# The paper resizes pictures to 256 for its crops of 224.
_SCALE = 256 / 224
_ON_ERROR = ("raise", "mark")


def _check(model, top_k, scale, dense_scales, on_error, version):
    side = model_surgery.input_size(model)[0]
    if not isinstance(top_k, int) or top_k < 1:
        raise ValueError(
            "Argument `top_k` must be an integer of at least 1. "
            f"Received: top_k={top_k!r}"
        )
    for name, value, scales in (
        ("scale", scale, (scale,)),
        ("dense_scales", dense_scales, dense_scales),
    ):
        if any(not isinstance(scale, int) or scale < side for scale in scales):
            raise ValueError(
                f"Argument `{name}` must hold shorter sides, integers of at least the "
                f"model's own, {side}. Received: {name}={value!r}"
            )
    if on_error not in _ON_ERROR:
        raise ValueError(
            f"Argument `on_error` must be one of {', '.join(map(repr, _ON_ERROR))}. "
            f"Received: on_error={on_error!r}"
        )
    if version is not None and not (
        isinstance(version, int)
        and not isinstance(version, bool)
        and 1 <= version <= _LAST_VERSION
    ):
        raise ValueError(
            f"Argument `version` must be an integer from 1 to {_LAST_VERSION}, or None "
            f"for the next one. Received: version={version!r}"
        )


def _taken(path):
    """Returns the versions in a folder, as TF Serving reads their names."""
    names = [entry.name for entry in path.glob("*")]
    # 19 digits: no name is too long for an integer, whatever lies in the folder.
    versions = [int(name) for name in names if re.fullmatch("0*[0-9]{1,19}", name)]
    return sorted(version for version in versions if version <= _LAST_VERSION)


def _new_version(path, version):
    """Returns the folder of a version that is not there yet."""
    taken = _taken(path)
    if version in taken:
        raise ValueError(
            f"Argument `version` must be a new one; {path} has {taken}. "
            f"Received: version={version!r}"
        )
    if version is None:
        version = taken[-1] + 1 if taken else 1
        if version > _LAST_VERSION:
            raise ValueError(
                f"Argument `version` must be given: {path} has the last one there can "
                f"be, {_LAST_VERSION}. Received: version=None"
            )
    return path / str(version)


def _publish(aside, path, version):
    """Makes a filled folder a version, the next one if `version` is `None`."""
    while True:
        folder = _new_version(path, version)
        try:
            appear(aside, folder)
        except OSError as error:
            # Another export took the number meanwhile: the next one is free.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return folder


def saved_model(
    model,
    path,
    class_names=None,
    top_k=5,
    scale=None,
    dense_scales=(),
    on_error="raise",
    version=None,
    card=None,
):
    """Writes a model for TF Serving, with all preprocessing inside.

    A SavedModel of numbered versions, as TF Serving watches for: `path/1`, then
    `path/2` and so on. A version appears whole or not at all. It loads with
    `tf.saved_model.load`, without this package and without Keras, and answers:

    - `serving_default`: `images`, float32 RGB in [0, 255], any batch and any size that
      the net takes, to `scores`. Integers in JSON are taken too.
    - `serving_uint8`: the same for uint8 images, a quarter of the bytes.
    - `classify`: `image_bytes`, JPEG, PNG, GIF, BMP or WebP files of any sizes as a
      string tensor, to the `classes` and `scores` of the best `top_k`. Pictures are
      decoded, resized and cropped as `keras_prelu.data.eval_batches` does.
    - `dense`, if `dense_scales` are given: the same by dense testing, averaged over the
      scales and mirror images, as `keras_prelu.evaluation.evaluate` does.

    `assets/labels.txt` holds the class names; `assets.extra/` the model card, and the
    requests with which the server warms up. Without tensorflow-serving-api these are
    left out: a warning and the model card say so.

    Args:
        model: A classifier of square RGB images that ends in a softmax, or in logits,
            which get one. Nets of `keras_prelu.applications` are exported for images of
            any size, others for images of their own.
        path: Folder of the versions, made if need be.
        class_names: Names of the classes; by default their numbers.
        top_k: How many classes to name, if there are as many.
        scale: The shorter side that pictures are resized to before the crop from the
            middle; by default 256/224 of the model's own side.
        dense_scales: The shorter sides of dense testing.
        on_error: What pictures that cannot be decoded do. `"raise"`: the request is an
            error that names their rows. `"mark"`: in their rows all classes are `""`
            and all scores 0.
        version: Number of the version; by default the next one.
        card: Dict of what the model card is to state: `data`, `protocol`, `scores`,
            `command`, `licence`, `intended_use`. What is left out is "not stated".

    Returns:
        The folder of the version, a `pathlib.Path`.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> version = keras_prelu.export.saved_model(model, "pets", ["cat", "dog"])
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
    cards.check(card)
    path = pathlib.Path(path)
    _new_version(path, version)  # refused before anything is written
    names = [str(i) for i in range(classes)] if class_names is None else class_names
    with tempfile.TemporaryDirectory() as temporary:
        labels = pathlib.Path(temporary, "labels.txt")
        labels.write_text("".join(f"{name}\n" for name in names))
        top_k = min(top_k, classes)
        served = Served(model, labels, top_k, side, scale, dense_scales, on_error)
        path.mkdir(parents=True, exist_ok=True)
        with filling(path) as aside:
            # It is for answers only: gradients would make the graph larger.
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(served, str(aside), served.functions, options)
            extra = aside / "assets.extra"
            extra.mkdir()
            warm_up = extra / warmup.FILE
            warms_up = warmup.write(warm_up, path.name, served.functions, side)
            described = cards.describe(
                model,
                class_names,
                card,
                aside.rglob("*"),
                format="TensorFlow SavedModel",
                signatures=list(served.functions),
                scale=scale,
                dense_scales=list(dense_scales),
                on_error=on_error,
                warm_up="one request per signature" if warms_up else "missing",
            )
            cards.write(described, extra / "model_card")
            return _publish(aside, path, version)
