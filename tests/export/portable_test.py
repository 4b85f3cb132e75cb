"""ONNX and LiteRT files, run in their own runtimes."""

import json
import sys
from collections import Counter

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_prelu import export
from keras_prelu.applications import Model14
from keras_prelu.export import onnx_graph
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

pytestmark = pytest.mark.tensorflow_only
# The maps of the last size are smaller than the bins.
SIZES = [(1, 32, 32), (3, 32, 32), (2, 20, 47)]


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    return Model14(width=1 / 16, classes=7, input_shape=(32, 32, 3))


def random_images(*size):
    rng = np.random.default_rng(sum(size))
    return rng.integers(0, 256, (*size, 3)).astype("float32")


def expected(net, images):
    """Score images with the same weights, in a net that is built for their size."""
    other = Model14(width=1 / 16, classes=7, input_shape=images.shape[1:])
    other.set_weights(net.get_weights())
    return other(images).numpy()


def run_onnx(path, images):
    session = onnxruntime.InferenceSession(path)
    return session.run(["scores"], {"images": images})[0]


def run_litert(path, images):
    interpreter = Interpreter(str(path))
    interpreter.resize_tensor_input(0, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.fixture(scope="module")
def onnx_file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    return path, export.onnx(net, path, card={"data": "random"})


@pytest.fixture(scope="module")
def litert_file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("litert") / "net.tflite"
    return path, export.litert(net, path)


@pytest.mark.parametrize("size", SIZES)
def test_onnx_runtime_has_the_scores_of_the_net(net, onnx_file, size):
    images = random_images(*size)
    scores = run_onnx(onnx_file[0], images)
    np.testing.assert_allclose(scores, expected(net, images), atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_litert_has_the_scores_of_the_net(net, litert_file, size):
    images = random_images(*size)
    scores = run_litert(litert_file[0], images)
    np.testing.assert_allclose(scores, expected(net, images), atol=1e-4)


def test_each_prelu_is_one_operator(net, onnx_file, litert_file):
    layers = Counter(type(layer) for layer in net.layers)
    nodes = Counter(node.op_type for node in onnx.load(onnx_file[0]).graph.node)
    details = Interpreter(str(litert_file[0]))._get_ops_details()
    ops = Counter(detail["op_name"] for detail in details)
    assert nodes["PRelu"] == ops["PRELU"] == layers[PReLU] == 13
    assert nodes["Conv"] == ops["CONV_2D"] == layers[keras.layers.Conv2D] == 11
    assert not {"Relu", "RELU", "Neg", "NEG"} & {*nodes, *ops}


@pytest.mark.parametrize("which", ["onnx_file", "litert_file"])
def test_the_check_is_returned_and_in_the_card(request, which):
    path, check = request.getfixturevalue(which)
    assert check.images == 8
    assert check.same_best == 1
    assert 0 < check.largest_error < 1e-4
    card = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert card["export"]["check"] == check._asdict()
    assert card["sizes"]["bytes"] == path.stat().st_size
    assert f"largest_error: {check.largest_error:.4g}" in (
        path.with_name(f"{path.name}.md").read_text()
    )


def test_8_bit_files_are_smaller_and_report_their_error(net, litert_file, tmp_path):
    images = random_images(9, 32, 32)
    path = tmp_path / "net.tflite"
    check = export.litert(net, path, images=images, quantize=True)
    differences = np.abs(run_litert(path, images) - net.predict(images, verbose=0))
    assert check.images == 9
    assert check.largest_error == pytest.approx(differences.max(), rel=1e-3)
    assert 1e-4 < check.largest_error < 0.3
    assert path.stat().st_size < 0.5 * litert_file[0].stat().st_size
    card = json.loads((tmp_path / "net.tflite.json").read_text())
    assert card["export"]["numbers"] == "8-bit integers"
    assert card["export"]["check"]["largest_error"] == check.largest_error


def test_a_file_with_other_scores_is_not_written(net, tmp_path, monkeypatch):
    leave_out = onnx_graph.CONVERTERS[keras.layers.Dropout]
    wrong = {**onnx_graph.CONVERTERS, PReLU: leave_out}
    monkeypatch.setattr(onnx_graph, "CONVERTERS", wrong)
    with pytest.raises(ValueError, match="must have the scores of `model`"):
        export.onnx(net, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_layer_is_converted(tmp_path):
    layers = keras.layers
    images = keras.Input((17, 17, 3))
    x = SubtractMean(mean=random_images(9, 9))(images)  # an image, resized to 17x17
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.Conv2D(4, 2, padding="same", use_bias=False)(x)
    x = layers.LeakyReLU(0.1)(x)
    x = layers.ReLU()(x)
    x = PReLU(shared=True)(x)
    maps = keras.Model(images, x)
    for tail in (
        [SpatialPyramidPooling((3, 1)), layers.Dropout(0.5)],
        [layers.GlobalAveragePooling2D()],
        [layers.GlobalMaxPooling2D()],
    ):
        x = maps.output
        for layer in [*tail, layers.Dense(5), layers.Softmax()]:
            x = layer(x)
        model = keras.Model(maps.input, x)
        export.onnx(model, tmp_path / "net.onnx")
        batch = random_images(2, 17, 17)
        scores = run_onnx(tmp_path / "net.onnx", batch)
        np.testing.assert_allclose(scores, model(batch).numpy(), atol=1e-4)


LEVELS = np.arange(240, dtype="float32").reshape(-1, 1, 1, 3)


def scores_of_levels(tmp_path, *layers):
    """Export layers that map `LEVELS` to logits, and return the scores of the file."""
    model = keras.Sequential([keras.Input((1, 1, 3)), *layers])
    model.add(keras.layers.GlobalMaxPooling2D())
    model.add(keras.layers.Dense(3, "softmax", kernel_initializer="identity"))
    export.onnx(model, tmp_path / "net.onnx")
    return run_onnx(tmp_path / "net.onnx", LEVELS)


def softmax(logits):
    powers = np.exp(logits[:, 0, 0])
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "options, function",
    [
        ({}, lambda x: np.maximum(x, 0)),
        ({"max_value": 2}, lambda x: np.clip(x, 0, 2)),
        ({"negative_slope": 0.3}, lambda x: np.where(x < 0, 0.3 * x, x)),
        (
            {"max_value": 2, "negative_slope": 0.3},
            lambda x: np.minimum(np.where(x < 0, 0.3 * x, x), 2),
        ),
    ],
)
def test_relu_keeps_its_options(tmp_path, options, function):
    rescaling = keras.layers.Rescaling([1 / 32, 1 / 25, 1 / 20], [-4, -3, -2])
    scores = scores_of_levels(tmp_path, rescaling, keras.layers.ReLU(**options))
    x = LEVELS * [1 / 32, 1 / 25, 1 / 20] + [-4, -3, -2]
    np.testing.assert_allclose(scores, softmax(function(x)), atol=1e-5)


@pytest.mark.parametrize(
    "scale, offset",
    [(1 / 64, 0), ([1 / 64, 1 / 32, 1 / 128], 0), (1 / 64, np.array([-2, 0, 1.5]))],
)
def test_rescaling_of_each_channel(tmp_path, scale, offset):
    scores = scores_of_levels(tmp_path, keras.layers.Rescaling(scale, offset))
    expected = softmax(LEVELS * scale + offset)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def small(*layers, activation="softmax", dtype="float32"):
    images = x = keras.Input((8, 8, 3))
    for layer in (*layers, keras.layers.GlobalMaxPooling2D(dtype=dtype)):
        x = layer(x)
    head = keras.layers.Dense(2, activation=activation, name="head")
    return keras.Model(images, head(x))


@pytest.mark.parametrize(
    "model, message",
    [
        (small(keras.layers.BatchNormalization()), "a model with <BatchNormalization"),
        (
            keras.Sequential(small(keras.layers.BatchNormalization()).layers),
            "a model with <BatchNormalization",
        ),
        (small(keras.layers.Conv2D(2, 1, activation="gelu")), "the activation 'gelu'"),
        (
            small(keras.layers.ReLU(20, threshold=1, name="a")),
            "'a' has the threshold 1",
        ),
        (small(dtype="bfloat16"), "with layers in bfloat16"),
        (small(activation="sigmoid"), "must end in a softmax"),
    ],
)
def test_models_that_cannot_be_converted_are_refused(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        export.onnx(model, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [export.onnx, export.litert])
@pytest.mark.parametrize("activation", ["softmax", None])
def test_sequential_models_are_converted(tmp_path, writer, activation):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation=activation),
        ]
    )
    images = random_images(5, 8, 8)
    writer(model, tmp_path / "net", images=images)
    logits = model(images).numpy()
    expected = logits if activation else softmax(logits[:, None, None])
    run = run_onnx if writer is export.onnx else run_litert
    scores = run(tmp_path / "net", images)
    assert np.ptp(expected[:, 0]) > 1e-3
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("writer", [export.onnx, export.litert])
def test_images_of_another_size_are_refused(net, tmp_path, writer):
    with pytest.raises(
        ValueError, match=r"of shape \(32, 32, 3\). Received: images of"
    ):
        writer(net, tmp_path / "net", images=random_images(2, 40, 40))
    assert list(tmp_path.iterdir()) == []


def test_8_bit_integers_need_images(net, tmp_path):
    with pytest.raises(ValueError, match="Received: images=None"):
        export.litert(net, tmp_path / "net.tflite", quantize=True)


@pytest.mark.parametrize(
    "writer, module, extra",
    [
        (export.onnx, "onnxruntime", "onnx"),
        (export.onnx, "onnx", "onnx"),
        (export.litert, "ai_edge_litert.interpreter", "export"),
    ],
)
def test_missing_packages_are_errors_with_the_command_that_installs_them(
    net, tmp_path, monkeypatch, writer, module, extra
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'keras-prelu\[{extra}\]'"):
        writer(net, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_images_by_position_still_work_and_warn(net, tmp_path):
    with pytest.warns(DeprecationWarning, match="pass images="):
        check = export.onnx(net, tmp_path / "net.onnx", random_images(2, 32, 32))
    assert check.images == 2 + 4  # and a batch of another size
