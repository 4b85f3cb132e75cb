"""Activation maps, compared with NumPy and with the scores of windows."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_prelu import analysis
from keras_prelu.evaluation import dense_model
from keras_prelu.layers import SpatialPyramidPooling
from tests.export.conftest import build

rng = np.random.default_rng(0)


SOFTMAX = {
    "layer": layers.Activation("softmax"),
    "operation": ops.softmax,
    "none": lambda logits: logits,
    "fused": lambda scores: scores,
}


def classifier(pooling, softmax="layer", side=8):
    """Return a net of one convolution, a pooling and one fully connected layer."""
    images = keras.Input((side, side, 3))
    x = layers.Conv2D(4, 2, strides=2, name="conv")(images)
    x = pooling(x)
    x = layers.Dense(
        5, activation="softmax" if softmax == "fused" else None, name="head"
    )(x)
    model = keras.Model(images, SOFTMAX[softmax](x))
    model.set_weights([rng.normal(size=w.shape) for w in model.weights])
    return model


def convolution(images, kernel, bias):
    """Return the last map of a `classifier` in NumPy."""
    n, h, w, _ = images.shape
    blocks = images.reshape(n, h // 2, 2, w // 2, 2, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.einsum("nyxijc,ijck->nyxk", blocks, kernel) + bias


def parts(model, images):
    """Return the last map in NumPy, and the kernel and bias of the head."""
    weights = (ops.convert_to_numpy(w) for w in model.get_layer("conv").weights)
    maps = convolution(images, *weights)
    return maps, *(ops.convert_to_numpy(w) for w in model.get_layer("head").weights)


@pytest.mark.parametrize("softmax", sorted(SOFTMAX))
def test_grad_cam_of_a_global_average(softmax):
    """With global average pooling, Grad-CAM is the class activation map."""
    model = classifier(layers.GlobalAveragePooling2D(), softmax)
    images = 5 * rng.normal(size=(6, 8, 8, 3)).astype("float32")
    maps, kernel, bias = parts(model, images)
    found = analysis.activation_map(model, images)
    best = (maps.mean(axis=(1, 2)) @ kernel + bias).argmax(axis=1)
    assert found.classes.tolist() == best.tolist()
    assert len({*best.tolist()}) > 1
    cams = np.einsum("nyxk,kn->nyx", maps, kernel[:, best]) / 16
    np.testing.assert_allclose(found.values, np.maximum(cams, 0), rtol=1e-4, atol=1e-4)
    assert (found.stride, found.window) == (2, (1, 1))


@pytest.mark.parametrize("size", [(8, 8), (10, 14)])
def test_grad_cam_of_a_global_maximum(size):
    """One cell per channel has a gradient, so weights are mean gradients of one."""
    model = classifier(SpatialPyramidPooling((1,)))
    images = rng.normal(size=(2, *size, 3)).astype("float32")
    maps, kernel, _ = parts(model, images)
    found = analysis.activation_map(model, images, classes=[4, 1])
    cells = maps.shape[1] * maps.shape[2]
    cams = np.einsum("nyxk,kn->nyx", maps, kernel[:, [4, 1]]) / cells
    np.testing.assert_allclose(found.values, np.maximum(cams, 0), atol=1e-5)
    assert found.classes.tolist() == [4, 1]


@pytest.mark.parametrize("softmax", ["layer", "none"])
def test_grad_cam_in_mixed_precision(softmax):
    """bfloat16 rounds each term by up to 1/256, and then the terms may cancel."""
    generator = np.random.default_rng(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = classifier(SpatialPyramidPooling((1,)), softmax)
    model.set_weights([generator.normal(size=w.shape) for w in model.weights])
    images = generator.normal(size=(2, 10, 14, 3)).astype("float32")
    maps, kernel, _ = parts(model, images)
    conv = model.get_layer("conv").weights
    terms = convolution(*(np.abs(ops.convert_to_numpy(x)) for x in (images, *conv)))
    # Of images, kernels, products, sums and gradients.
    roundings = 10
    tolerance = roundings / 256 * (terms @ np.abs(kernel[:, 1]) / 35)
    cams, others = (np.maximum(maps @ kernel[:, n] / 35, 0) for n in (1, 0))
    assert (np.abs(cams - others) > 2 * tolerance).any()
    found = analysis.activation_map(model, images, classes=1).values
    assert (np.abs(found - cams) <= tolerance).all()


@pytest.mark.parametrize("softmax", ["fused", "layer"])
def test_grad_cam_of_a_quantized_head(softmax):
    """int8 rounds a weight by up to 1/254 of its column's largest one."""
    model = classifier(layers.GlobalAveragePooling2D(), softmax)
    images = 5 * rng.normal(size=(2, 8, 8, 3)).astype("float32")
    expected = analysis.activation_map(model, images, classes=3).values
    maps, kernel, _ = parts(model, images)
    largest = np.abs(kernel[:, 3]).max() / 254
    model.get_layer("head").quantize("int8")
    found = analysis.activation_map(model, images, classes=3).values
    tolerance = largest * np.abs(maps).sum(axis=-1).max() / 16
    assert expected.max() > 4 * tolerance
    np.testing.assert_allclose(found, expected, atol=1.01 * tolerance)


def test_grad_cam_of_an_activation_layer_that_is_used_twice():
    images = keras.Input((8, 8, 3))
    relu = layers.ReLU()
    x = layers.Conv2D(4, 2, strides=2)(relu(layers.Conv2D(4, 1)(images)))
    logits = layers.Dense(5)(layers.GlobalAveragePooling2D()(relu(x)))
    model = keras.Model(images, logits)
    # Keras's own weights differ per backend; with some, the maps are zero.
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape) for w in model.weights])
    batch = generator.normal(size=(2, 8, 8, 3)).astype("float32")
    before = keras.Model(images, x).predict_on_batch(batch)
    kernel = ops.convert_to_numpy(model.layers[-1].kernel)[:, 3]
    cams = np.maximum(np.maximum(before, 0) @ kernel / 16, 0)
    without_relu = np.maximum(before @ kernel / 16, 0)
    assert np.abs(cams - without_relu).max() > 1e-3
    found = analysis.activation_map(model, batch, classes=3)
    np.testing.assert_allclose(found.values, cams, atol=1e-5)


def test_windows_have_the_scores_of_the_dense_model():
    model = build(32, 32)
    images = rng.integers(0, 256, (2, 40, 48, 3))
    scores = dense_model(model, average=False).predict_on_batch(images)
    found = analysis.activation_map(model, images, classes=3, method="windows")
    np.testing.assert_allclose(found.values, scores[..., 3], atol=1e-6)
    assert (found.values.shape, found.stride, found.window) == ((2, 3, 5), 4, (8, 8))
    best = analysis.activation_map(model, images, method="windows").classes
    assert best.tolist() == scores.mean(axis=(1, 2)).argmax(axis=1).tolist()


@pytest.mark.parametrize("method", ["grad_cam", "windows"])
def test_integers_and_floats_have_the_same_maps(method):
    model = build(32, 32)
    images = rng.integers(0, 256, (1, 40, 48, 3))
    maps = [
        analysis.activation_map(model, images.astype(dtype), None, method).values
        for dtype in ("uint8", "float32")
    ]
    np.testing.assert_array_equal(*maps)
    assert maps[0].any()


def test_the_figure_lays_the_maps_over_the_images():
    model = classifier(SpatialPyramidPooling((1,)))
    images = rng.uniform(0, 255, (2, 10, 14, 3))
    maps = analysis.activation_map(model, images, classes=1)._replace(window=(2, 3))
    figure = maps.plot(["a", "b", "c", "d", "e"])
    axis = figure.axes[1]
    photo, overlay = axis.get_images()
    assert axis.get_title() == "b"
    np.testing.assert_array_equal(photo.get_array(), images[1].astype("uint8"))
    np.testing.assert_array_equal(overlay.get_array(), maps.values[1])
    # The first of 5 x 7 values is centered in its window of 2 x 3 cells of 2 pixels.
    left, right, bottom, top = overlay.get_extent()
    assert (left + 1 + 0.5, top + 1 + 0.5) == (3, 2)
    assert (right - left, bottom - top) == (14, 10)
    assert axis.get_xlim() == (-0.5, 13.5)
    assert axis.get_ylim() == (9.5, -0.5)


@pytest.mark.parametrize(("least", "most"), [(0, 1), (-1, 1), (-128, 127)])
def test_images_in_another_range_are_stretched_to_be_drawn(least, most):
    images = rng.uniform(least, most, (1, 8, 8, 3))
    images.flat[:2] = least, most
    net = classifier(layers.GlobalAveragePooling2D())
    figure = analysis.activation_map(net, images).plot()
    photo = figure.axes[0].get_images()[0].get_array()
    expected = (images[0] - least) / (most - least) * 255
    np.testing.assert_allclose(photo, expected, atol=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cam"}, "one of 'grad_cam', 'windows'. Received: method='cam'"),
        ({"method": []}, r"Received: method=\[\]"),
        ({"classes": 5}, "from 0 to 4. Received: classes=5"),
        ({"classes": [1, 2, 3]}, r"one per image \(2\)"),
        ({"classes": 1.0}, "Received: classes=1.0"),
        ({"images": np.zeros((8, 8, 3))}, r"Received: images of shape \(8, 8, 3\)"),
        ({"model": "net"}, "Received: model='net'"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    arguments = {
        "model": classifier(layers.GlobalAveragePooling2D()),
        "images": np.zeros((2, 8, 8, 3)),
    }
    with pytest.raises(ValueError, match=message):
        analysis.activation_map(**arguments | options)


def test_images_in_0_to_1_are_warned_about():
    model = build(32, 32)
    with pytest.warns(UserWarning, match=r"in \[0, 255\]"):
        analysis.activation_map(model, rng.uniform(size=(1, 32, 32, 3)))
