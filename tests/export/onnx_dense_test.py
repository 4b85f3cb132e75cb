"""ONNX files that score every window, and files whose slopes are inputs."""

import json

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from keras_prelu import export
from keras_prelu.analysis.slopes import layer_slopes
from keras_prelu.applications import Model14, ModelA
from keras_prelu.evaluation import dense_model
from keras_prelu.layers import SubtractMean

pytestmark = pytest.mark.tensorflow_only


def net(constructor=ModelA, **options):
    """Build a narrow net whose slopes and scores are neither equal nor extreme."""
    arguments = {"width": 1 / 32, "classes": 7, "input_shape": (48, 48, 3)}
    model = constructor(**arguments | options)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name == "alpha":
            weight.assign(rng.uniform(-0.2, 0.8, weight.shape))
    head = model.get_layer("fc3")
    features = keras.Model(model.inputs[0], head.input)(random_images(1, 48, 48))
    kernel = rng.normal(size=head.kernel.shape)
    head.kernel.assign(3 * kernel / np.linalg.norm(features))
    return model


def random_images(*size):
    rng = np.random.default_rng(sum(size))
    return rng.integers(0, 256, (*size, 3)).astype("float32")


def run(path, images, slopes=None):
    session = onnxruntime.InferenceSession(path)
    return session.run(["scores"], {"images": images, **(slopes or {})})[0]


@pytest.mark.parametrize(
    ("constructor", "options", "sizes"),
    [
        (ModelA, {}, [(1, 48, 48), (2, 75, 118), (1, 180, 60)]),
        (ModelA, {"activation": "prelu_shared"}, [(1, 70, 85)]),
        (Model14, {}, [(1, 48, 48), (1, 90, 71)]),
    ],
)
def test_every_window_has_the_scores_of_the_dense_model(
    tmp_path, constructor, options, sizes
):
    model = net(constructor, **options)
    check = export.onnx(model, tmp_path / "net.onnx", dense=True)
    assert check.same_best == 1
    assert check.images == 8
    dense = dense_model(model, average=False)
    for size in sizes:
        images = random_images(*size)
        expected = dense(images).numpy()
        scores = run(tmp_path / "net.onnx", images)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        # The scores of neighboring windows must not pass.
        if expected.shape[2] > 1:
            assert np.abs(np.diff(expected, axis=2)).max() > 1e-3
    card = json.loads((tmp_path / "net.onnx.json").read_text())
    assert card["export"]["scores"] == "of every window"


def test_logits_become_scores(tmp_path):
    model = net(classifier_activation=None)
    export.onnx(model, tmp_path / "net.onnx", dense=True)
    scores = run(tmp_path / "net.onnx", random_images(1, 70, 70))
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("dense", [False, True])
def test_slopes_as_inputs(tmp_path, dense):
    model = net()
    path = tmp_path / "net.onnx"
    export.onnx(model, path, dense=dense, slopes_as_inputs=True)
    images = random_images(2, 75, 118)

    def expected():
        if dense:
            return dense_model(model, average=False)(images).numpy()
        other = ModelA(width=1 / 32, classes=7, input_shape=(75, 118, 3))
        other.set_weights(model.get_weights())
        return other(images).numpy()

    slopes = layer_slopes(model)
    np.testing.assert_allclose(run(path, images, slopes), expected(), atol=1e-5)
    before = expected()
    for layer, highest in (("prelu1", 2), ("prelu3_2", 1.5), ("prelu_fc2", -2)):
        slopes[layer] = np.linspace(-1, highest, len(slopes[layer]), dtype="float32")
        model.get_layer(layer).alpha.assign(slopes[layer])
    after = expected()
    np.testing.assert_allclose(run(path, images, slopes), after, atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_slopes_are_described_and_are_no_weights(tmp_path):
    model = net(activation="prelu_shared")
    path = tmp_path / "net.onnx"
    export.onnx(model, path, slopes_as_inputs=True)
    inputs = onnxruntime.InferenceSession(path).get_inputs()
    expected = {name: [1] for name in layer_slopes(model)}
    assert {x.name: x.shape for x in inputs if x.name != "images"} == expected
    nodes = onnx.load(path).graph.node
    assert sum(node.op_type == "PRelu" for node in nodes) == len(expected) == 18
    card = json.loads((tmp_path / "net.onnx.json").read_text())
    assert card["export"]["slopes"] == "inputs"


def test_nets_that_cannot_be_scored_at_every_window_are_refused(tmp_path):
    images = keras.Input((48, 48, 3))
    x = SubtractMean(mean=random_images(48, 48))(images)
    mean_image = ModelA(
        input_tensor=x, width=1 / 64, classes=2, include_preprocessing=False
    )
    pooled = keras.layers.GlobalMaxPooling2D()(images)
    no_pyramid = keras.Model(images, keras.layers.Dense(2, "softmax")(pooled))
    for model, message in (
        (mean_image, "must be False for a model that subtracts a mean image"),
        (no_pyramid, "must have one SpatialPyramidPooling layer"),
    ):
        with pytest.raises(ValueError, match=message):
            export.onnx(model, tmp_path / "net.onnx", dense=True)
    assert list(tmp_path.iterdir()) == []
