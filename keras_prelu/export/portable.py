"""ONNX and LiteRT files, checked in their own runtimes before they are written."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_prelu import model_surgery, on_use
from keras_prelu.analysis.slopes import layer_slopes
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense import dense_model
from keras_prelu.export import cards, checks, onnx_graph
from keras_prelu.files import replacing
from keras_prelu.types import PathLike

__all__ = ["Check", "litert", "onnx"]

_TOLERANCE = 1e-4  # rounding errors, relative to the largest score
_BATCH = 4


class Check(NamedTuple):
    """Differences between the scores of a file and those of its model.

    Attributes:
        images: Number of images that were compared.
        largest_error: Largest absolute difference between two scores.
        same_best: Fraction of the images, or of their windows if the file scores these,
            with the same best class.
    """

    images: int
    largest_error: float
    same_best: float


@checks.once_positional("images")
def onnx(
    model: keras.Model,
    path: PathLike,
    *,
    images: np.ndarray | None = None,
    dense: bool = False,
    slopes_as_inputs: bool = False,
    class_names: Sequence[str] | None = None,
    card: Mapping[str, Any] | None = None,
) -> Check:
    """Write a model as an ONNX file, checked in ONNX Runtime.

    The file maps `images`, float32 RGB in [0, 255] of shape `(batch, height, width,
    3)`, to `scores`. It takes any batch size and, for the nets of
    `keras_prelu.applications`, any height and width, unless they subtract a mean image.
    Each PReLU is one PRelu operator. The model card is written beside the file, as
    `.json` and `.md`.

    Args:
        model: A classifier as in `keras_prelu.export.saved_model`, in float32.
        path: Path of the file. Its folder must exist.
        images: Images of the model's input size to check the file with. Defaults to
            random images and, for nets that take any size, random images of another
            size too.
        dense: Whether the file scores every window of an image, as
            `keras_prelu.evaluation.dense_model(model, average=False)` does: `scores`
            has the shape `(batch, rows, columns, classes)`. Defaults to `False`.
        slopes_as_inputs: Whether the slopes of each PReLU layer are an input of the
            file, so that a program can change them. The input has the layer's name and
            the shape of its weight `alpha`. Defaults to `False`: slopes are weights.
        class_names: Names of the classes, for the model card.
        card: Statements for the model card; see `keras_prelu.export.saved_model`.

    Returns:
        A `Check`. If scores differ by more than rounding, a ValueError is raised and
        nothing is written.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> keras_prelu.export.onnx(model, "net.onnx").same_best
        1.0
        >>> keras_prelu.export.onnx(model, "windows.onnx", dense=True).same_best
        1.0
    """
    model = _checked(model, images, class_names, card)
    onnx_graph.check_layers(model)
    (runtime,) = on_use.require("onnx", "onnxruntime")
    net = _for_onnx(model, dense)
    content = onnx_graph.convert(net, slopes_as_inputs).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    slopes = layer_slopes(model) if slopes_as_inputs else {}

    def run(batch):
        return session.run(["scores"], {"images": batch, **slopes})[0]

    check = _compare(run, net, _batches(net, model_surgery.input_size(model), images))
    about = {
        "format": "ONNX",
        "scores": "of every window" if dense else "of the image",
        "slopes": "inputs" if slopes_as_inputs else "weights",
        "check": check._asdict(),
    }
    _write(
        path, content, cards.describe(model, class_names, card, len(content), **about)
    )
    return check


@checks.once_positional("images")
def litert(
    model: keras.Model,
    path: PathLike,
    *,
    images: np.ndarray | None = None,
    quantize: bool = False,
    class_names: Sequence[str] | None = None,
    card: Mapping[str, Any] | None = None,
) -> Check:
    """Write a model as a LiteRT file (`.tflite`), checked in LiteRT.

    The file maps `images`, float32 RGB in [0, 255] of shape `(batch, height, width,
    3)`, to scores. It takes any batch size and, for the nets of
    `keras_prelu.applications`, any height and width: call `resize_tensor_input` first.
    Each PReLU is one PRELU operator. The model card is written beside the file, as
    `.json` and `.md`.

    Args:
        model: A classifier as in `keras_prelu.export.saved_model`, in float32.
        path: Path of the file. Its folder must exist.
        images: Images to check the file with; see `keras_prelu.export.onnx`. Required
            with `quantize`: pass a few hundred images of the training set, because the
            ranges of all activations are taken from them.
        quantize: Whether to store weights and activations as 8-bit integers. Defaults
            to `False`. The loss of accuracy is in the returned `Check` and in the model
            card.
        class_names: Names of the classes, for the model card.
        card: Statements for the model card; see `keras_prelu.export.saved_model`.

    Returns:
        A `Check`. If, without `quantize`, scores differ by more than rounding, a
        ValueError is raised and nothing is written.

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
            "Argument `images` must be given with `quantize`: images like those that "
            "the model will see. Received: images=None"
        )
    (runtime,) = on_use.require("export", "ai_edge_litert.interpreter")
    net = checks.for_its_sizes(model)
    content = _to_litert(net, images if quantize else None)
    interpreter = runtime.Interpreter(model_content=content)
    input_index = interpreter.get_input_details()[0]["index"]

    def run(batch):
        interpreter.resize_tensor_input(input_index, batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(input_index, batch)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    # The error of 8-bit integers is measured on real images only, because random ones
    # have other activations.
    size = model_surgery.input_size(model)
    batches = _cut(images) if quantize else _batches(net, size, images)
    check = _compare(run, net, batches, tolerance=np.inf if quantize else _TOLERANCE)
    numbers = "8-bit integers" if quantize else "float32"
    about = {"format": "LiteRT", "numbers": numbers, "check": check._asdict()}
    _write(
        path, content, cards.describe(model, class_names, card, len(content), **about)
    )
    return check


def _checked(model, images, class_names, card):
    """Check all arguments, and return the model with softmax scores."""
    model = checks.check_model(model)
    checks.check_class_names(class_names, model.output_shape[-1])
    cards.check(card)
    others = {layer.compute_dtype for layer in model.layers} - {"float32"}
    if others:
        raise ValueError(
            "Argument `model` must compute in float32: build the net again in float32 "
            f"and load the weights. Received: a model with layers in "
            f"{', '.join(sorted(others))}"
        )
    shape = (*model_surgery.input_size(model), 3)
    if images is not None and (np.shape(images)[1:] != shape or not len(images)):
        raise ValueError(
            f"Argument `images` must be a batch of images of shape {shape}. "
            f"Received: images of shape {np.shape(images)}"
        )
    return model


def _for_onnx(model, dense):
    """Return the model that becomes the graph, for images of any size if possible."""
    fixed = onnx_graph.fixes_size(model)
    if not dense:
        return model if fixed else checks.for_its_sizes(model)
    if fixed:
        raise ValueError(
            "Argument `dense` must be False for a model that subtracts a mean image, "
            "because its graph takes images of one size. Received: dense=True"
        )
    return dense_model(model, average=False)


def _cut(images):
    for start in range(0, len(images), _BATCH):
        yield np.asarray(images[start : start + _BATCH], "float32")


def _batches(net, size, images):
    """Yield batches of the given images, or of random ones."""
    rng = np.random.default_rng(0)

    def random_images(height, width):
        return rng.integers(0, 256, (_BATCH, height, width, 3)).astype("float32")

    yield from [random_images(*size)] if images is None else _cut(images)
    if net.inputs[0].shape[1] is None:
        yield random_images(size[0] + 37, size[1] + 50)  # several windows


def _compare(run, net, batches, tolerance=_TOLERANCE):
    reference = runner(net)
    pairs = [(run(batch), reference(batch)) for batch in batches]
    images = sum(len(scores) for scores, _ in pairs)
    scores, expected = (
        np.concatenate([array.reshape(-1, array.shape[-1]) for array in arrays])
        for arrays in zip(*pairs, strict=True)
    )
    error = float(np.abs(scores - expected).max())
    allowed = float(tolerance * expected.max())
    if not error <= allowed:  # also true for NaN
        raise ValueError(
            "The converted model must have the scores of `model`, with differences up "
            f"to {allowed:.1e}. Nothing was written. Received: differences up to "
            f"{error:.1e}"
        )
    same = (scores.argmax(axis=1) == expected.argmax(axis=1)).mean()
    return Check(images, error, float(same))


def _to_litert(net, representative_images):
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
    if representative_images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[None]] for batch in _cut(representative_images) for image in batch
        )
    return converter.convert()


def _write(path, content, card):
    path = pathlib.Path(path)
    with replacing(path) as aside:
        aside.write_bytes(content)
    cards.write(card, path)
