"""ONNX and LiteRT: files that are checked in their own runtime before they appear."""

import pathlib
from typing import NamedTuple

import numpy as np

from keras_prelu import model_surgery
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.export import cards, checks, onnx_graph
from keras_prelu.export.checks import once_positional, require
from keras_prelu.files import replacing

# The largest error that is rounding, as a part of the largest score.
_TOLERANCE = 1e-4
_BATCH = 4


class Check(NamedTuple):
    """How a file's scores differ from the model's.

    Attributes:
        images: How many images were compared.
        largest_error: The largest difference of a score, absolute.
        same_best: The share of the images with the same best class.
    """

    images: int
    largest_error: float
    same_best: float


@once_positional("images")
def onnx(model, path, *, images=None, class_names=None, card=None):
    """Writes a model as an ONNX file, checked in ONNX Runtime.

    The file takes `images`, float32 RGB in [0, 255] of shape `(batch, height, width,
    3)`, to `scores`. Any batch; any height and width for the nets of
    `keras_prelu.applications`, unless their mean is an image. Each PReLU is one PRelu
    operator. Beside the file lies its model card, as `.json` and `.md`.

    Args:
        model: A classifier as `keras_prelu.export.saved_model` takes it, in float32.
        path: The file to write. Its folder must exist.
        images: Images to check with, of the model's own size; by default random ones,
            and for nets that take any size also some of another.
        class_names: Names of the classes, for the model card.
        card: What the model card is to state; see `keras_prelu.export.saved_model`.

    Returns:
        A `Check`. Where an error is larger than rounding explains, a ValueError is
        raised and nothing is written.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> keras_prelu.export.onnx(model, "net.onnx").same_best
        1.0
    """
    model = _checked(model, images, class_names, card)
    onnx_graph.check_layers(model)
    (runtime,) = require("onnx", "onnxruntime")
    fixed = onnx_graph.fixes_size(model)
    net = model if fixed else checks.for_its_sizes(model)
    content = onnx_graph.convert(net).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(batch):
        return session.run(["scores"], {"images": batch})[0]

    found = _compare(run, net, _batches(net, model_surgery.input_size(model), images))
    return _write(path, content, found, model, class_names, card, format="ONNX")


@once_positional("images")
def litert(model, path, *, images=None, quantize=False, class_names=None, card=None):
    """Writes a model as a LiteRT file (`.tflite`), checked in LiteRT.

    The file takes `images`, float32 RGB in [0, 255] of shape `(batch, height, width,
    3)`, to scores. Any batch, and any height and width for the nets of
    `keras_prelu.applications`: call `resize_tensor_input` first. Each PReLU is one
    PRELU operator. Beside the file lies its model card, as `.json` and `.md`.

    Args:
        model: A classifier as `keras_prelu.export.saved_model` takes it, in float32.
        path: The file to write. Its folder must exist.
        images: Images to check with; see `keras_prelu.export.onnx`. With `quantize`
            they must be given, some hundred out of the training set: the ranges of all
            activations are taken from them.
        quantize: Whether weights and activations are 8-bit integers. What that costs is
            not rounding: it is in the returned `Check` and in the model card.
        class_names: Names of the classes, for the model card.
        card: What the model card is to state; see `keras_prelu.export.saved_model`.

    Returns:
        A `Check`. Where, without `quantize`, an error is larger than rounding
        explains, a ValueError is raised and nothing is written.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> keras_prelu.export.litert(model, "net.tflite").same_best
        1.0
    """
    model = _checked(model, images, class_names, card)
    if quantize and images is None:
        raise ValueError(
            "Argument `images` must be given with `quantize`: images as those that the "
            "model will see. Received: images=None"
        )
    (runtime,) = require("export", "ai_edge_litert.interpreter")
    net = checks.for_its_sizes(model)
    content = _to_litert(net, images if quantize else None)
    interpreter = runtime.Interpreter(model_content=content)
    place = interpreter.get_input_details()[0]["index"]

    def run(batch):
        interpreter.resize_tensor_input(place, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, batch)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    # Random images, and others than it was fitted to, would say nothing of 8 bits.
    size = model_surgery.input_size(model)
    batches = _cut(images) if quantize else _batches(net, size, images)
    found = _compare(run, net, batches, tolerance=np.inf if quantize else _TOLERANCE)
    bits = "8-bit integers" if quantize else "float32"
    return _write(
        path, content, found, model, class_names, card, format="LiteRT", numbers=bits
    )


def _checked(model, images, class_names, card):
    """Returns the model with softmax scores, all arguments checked."""
    model = checks.check_model(model)
    checks.check_class_names(class_names, model.output_shape[-1])
    cards.check(card)
    others = {layer.compute_dtype for layer in model.layers} - {"float32"}
    if others:
        raise ValueError(
            "Argument `model` must compute in float32: build the net anew and load its "
            f"weights. Received: a model with layers in {', '.join(others)}"
        )
    shape = (*model_surgery.input_size(model), 3)
    if images is not None and (np.shape(images)[1:] != shape or not len(images)):
        raise ValueError(
            f"Argument `images` must be a batch of images of shape {shape}. "
            f"Received: images of shape {np.shape(images)}"
        )
    return model


def _cut(images):
    for start in range(0, len(images), _BATCH):
        yield np.asarray(images[start : start + _BATCH], "float32")


def _batches(net, size, images):
    """Yields the images to check with, in batches."""
    rng = np.random.default_rng(0)

    def drawn(height, width):
        return rng.integers(0, 256, (_BATCH, height, width, 3)).astype("float32")

    yield from [drawn(*size)] if images is None else _cut(images)
    if net.inputs[0].shape[1] is None:
        yield drawn(size[0] + 9, size[1] + 30)


def _compare(run, net, batches, tolerance=_TOLERANCE):
    reference = runner(net)
    pairs = [(run(batch), reference(batch)) for batch in batches]
    found, expected = (np.concatenate(scores) for scores in zip(*pairs, strict=True))
    error = float(np.abs(found - expected).max())
    allowed = float(tolerance * expected.max())
    if not error <= allowed:  # NaN is refused too
        raise ValueError(
            f"The converted model must score as `model` does, to {allowed:.1e}. "
            f"Nothing was written. Received: scores that are up to {error:.1e} off"
        )
    same = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
    return Check(len(found), error, float(same))


def _to_litert(net, representative):
    import tensorflow as tf

    class Module(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec(net.inputs[0].shape, name="images")]
        )
        def scores(self, images):
            return net(images, training=False)

    module = Module()
    module.variables_of_net = [variable.value for variable in net.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.scores.get_concrete_function()], module
    )
    if representative is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[None]] for batch in _cut(representative) for image in batch
        )
    return converter.convert()


def _write(path, content, found, model, class_names, card, **export):
    """Writes the file and its card; returns what the check has found."""
    path = pathlib.Path(path)
    with replacing(path) as aside:
        aside.write_bytes(content)
    described = cards.describe(
        model, class_names, card, [path], **export, check=found._asdict()
    )
    cards.write(described, path)
    return found
