"""The detector has the net's layers, weights and features."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu.applications import Model14, ModelA
from keras_prelu.detection.detector import check_detector, fast_rcnn


@pytest.fixture(scope="module")
def net():
    return ModelA(width=1 / 32, classes=7, input_shape=(96, 128, 3))


def images_of(height, width):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, height, width, 3)).astype("float32")


def outputs_of(model, inputs, layer):
    """Return the output of a layer."""
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return ops.convert_to_numpy(part(inputs))


@pytest.mark.parametrize("make", [ModelA, Model14])
def test_the_whole_image_has_the_features_of_the_net(make):
    net = make(width=1 / 32, classes=7, input_shape=(96, 144, 3))
    detector = fast_rcnn(net, classes=3)
    images = images_of(96, 144)
    boxes = np.tile(np.float32([0, 0, 144, 96]), (2, 1, 1))
    before = outputs_of(net, [images], "prelu_fc2")
    # The inputs of the functional model are sorted by name.
    after = outputs_of(detector, [boxes, images], "prelu_fc2")
    np.testing.assert_array_equal(after, before)


def test_a_region_has_the_features_of_its_window(net):
    """Regions are pooled from one map: equal to the net on a map that is cropped."""
    detector = fast_rcnn(net, classes=3)
    images = images_of(160, 224)
    boxes = np.float32([[[32, 16, 96, 80]], [[64, 0, 192, 160]]])
    pooled = outputs_of(detector, [boxes, images], "region_pooling")
    maps = outputs_of(detector, [boxes, images], "prelu4_5")
    # The centers are at 8.5, 24.5, ... pixels.
    for image, (rows, columns) in enumerate(
        [(slice(1, 5), slice(2, 6)), (slice(0, 10), slice(4, 12))]
    ):
        expected = net.get_layer("spp")(maps[image : image + 1, rows, columns])
        np.testing.assert_array_equal(pooled[image, 0], np.array(expected)[0])


def test_weights_are_copied_and_not_shared(net):
    before = [np.array(w) for w in net.get_weights()]
    detector = fast_rcnn(net, classes=3)
    for layer in net.layers:
        if layer.name in ("spp", "fc3", "predictions", "images"):
            continue
        copy = detector.get_layer(layer.name)
        assert copy is not layer
        for ours, theirs in zip(copy.get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for variable in detector.trainable_variables:
        variable.assign(variable + 1.0)
    for now, then in zip(net.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_heads_start_small():
    net = ModelA(width=1 / 4, classes=2)
    detector = fast_rcnn(net, classes=20)
    for name, std in (("region_scores", 0.01), ("region_deltas", 0.001)):
        kernel, bias = detector.get_layer(name).get_weights()
        assert abs(kernel.std() / std - 1) < 0.05
        assert not bias.any()


def test_outputs_are_probabilities_and_deltas_in_their_own_units(net):
    mean, std = (0.5, -0.5, 0.1, 0.0), (0.1, 0.1, 0.2, 0.2)
    detector = fast_rcnn(net, 3, mean, std)
    inputs = {
        "images": images_of(64, 96),
        "boxes": np.float32([[[0, 0, 9, 9]] * 5] * 2),
    }
    outputs = detector(inputs)
    scores = ops.convert_to_numpy(outputs["scores"])
    assert scores.shape == (2, 5, 4)
    np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)
    raw = outputs_of(detector, [inputs["boxes"], inputs["images"]], "deltas_by_region")
    deltas = ops.convert_to_numpy(outputs["deltas"])
    assert deltas.shape == (2, 5, 3, 4)
    np.testing.assert_allclose(deltas, raw * np.array(std) + np.array(mean), atol=1e-6)


def test_a_saved_detector_is_the_same(net, tmp_path):
    detector = fast_rcnn(net, classes=3)
    detector.save(tmp_path / "detector.keras")
    loaded = keras.saving.load_model(tmp_path / "detector.keras")
    check_detector(loaded)
    inputs = {"images": images_of(64, 96), "boxes": np.float32([[[0, 0, 50, 40]]] * 2)}
    ours, theirs = detector(inputs), loaded(inputs)
    for name in ("scores", "deltas"):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ours[name]), ops.convert_to_numpy(theirs[name])
        )


def test_boxes_are_float32_under_a_half_precision_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    detector = fast_rcnn(ModelA(width=1 / 64, classes=2), classes=2)
    images = images_of(32, 1024)
    boxes = np.float32([[[0, 0, 1016.4, 32], [0, 0, 1016.6, 32]]] * 2)
    pooled = outputs_of(detector, [boxes, images], "region_pooling")
    # bfloat16 would round both edges to 1016: the last cell's center is at 1016.5.
    assert (pooled[:, 0] != pooled[:, 1]).any()
    outputs = detector({"images": images, "boxes": boxes})
    for name in ("scores", "deltas"):
        assert keras.backend.standardize_dtype(outputs[name].dtype) == "float32"


@pytest.mark.parametrize("classes", [0, -1])
def test_a_wrong_number_of_classes_is_refused(net, classes):
    with pytest.raises(ValueError, match="`classes` must be.*Received: classes="):
        fast_rcnn(net, classes)


def test_a_net_without_its_top_is_refused():
    with pytest.raises(ValueError, match="`model` must have one SpatialPyramidPooling"):
        fast_rcnn(ModelA(width=1 / 64, include_top=False), 3)


@pytest.mark.parametrize(
    "other",
    [
        None,
        "model",
        keras.Sequential(),
        keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]),
    ],
)
def test_other_models_are_no_detectors(other, net):
    for model in (other, net):
        with pytest.raises(ValueError, match="`detector` must be.*Received"):
            check_detector(model)
