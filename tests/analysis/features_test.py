"""Feature maps of stages: layers, strides, channels and values."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_prelu import analysis
from keras_prelu.applications import Model14, ModelA


def images_of(*size):
    return np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype("float32")


def sizes_of(model, *size):
    """Return height and width of each map of an image of a size."""
    return [shape[1:3] for shape in model.compute_output_shape((1, *size, 3))]


def test_the_stages_of_model_a():
    model = ModelA(width=1 / 16, classes=5, input_shape=(48, 48, 3))
    found = analysis.features(model)
    assert found.layers == ["prelu1", "prelu2_5", "prelu3_5", "prelu4_5"]
    assert (found.strides, found.channels) == ([2, 4, 8, 16], [6, 16, 32, 32])
    assert sizes_of(found.model, 80, 48) == [(40, 24), (20, 12), (10, 6), (5, 3)]


def test_maps_are_those_of_the_net():
    model = Model14(width=1 / 32, classes=5, input_shape=(48, 48, 3))
    found = analysis.features(model)
    assert (found.strides, found.channels) == ([2, 6, 12], [2, 4, 8])
    images = images_of(36, 60)
    maps = found.model.predict_on_batch(images)
    # Independently: the net built for this size, cut at each layer.
    other = Model14(width=1 / 32, classes=5, input_shape=(36, 60, 3))
    other.set_weights(model.get_weights())
    layers = [other.get_layer(name) for name in ("prelu1", "prelu2_4", "prelu3_6")]
    cut = keras.Model(other.inputs[0], [layer.output for layer in layers])
    for x, expected in zip(maps, cut.predict_on_batch(images), strict=True):
        np.testing.assert_allclose(x, expected, atol=1e-5)


def test_some_stages_in_any_order():
    model = ModelA(width=1 / 64, include_top=False)
    found = analysis.features(model, stages=[4, 2])
    assert (found.layers, found.strides) == (["prelu4_5", "prelu2_5"], [16, 4])
    assert sizes_of(found.model, 64, 64) == [(4, 4), (16, 16)]


def residual_net():
    """Return a net for one size, with a branch, padding and a top, as in Keras."""
    x = images = keras.Input((40, 40, 3))
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(4, 7, strides=2, name="stem")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, 2, name="pool")(x)
    shortcut = layers.Conv2D(6, 1, strides=2, name="shortcut")(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="conv")(x)
    x = layers.Add(name="sum")([x, shortcut])
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(5, 1, name="head")(x)
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(x)))


def test_nets_with_branches_and_a_fixed_size():
    found = analysis.features(residual_net())
    # The stage of the pooling alone has no convolution, and the head has no stride.
    assert (found.layers, found.strides) == (["stem", "sum"], [2, 8])
    assert found.channels == [4, 6]
    assert sizes_of(found.model, 64, 80) == [(32, 40), (8, 10)]


def test_one_activation_layer_can_be_used_twice():
    images = keras.Input((16, 16, 3))
    relu = layers.ReLU(name="relu")
    x = relu(layers.Conv2D(4, 3, padding="same")(images))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    model = keras.Model(images, layers.Dense(3)(layers.Flatten()(relu(x))))
    found = analysis.features(model)
    assert (found.layers, found.strides) == (["relu", "relu"], [1, 2])
    batch = images_of(16, 16) - 128
    before = keras.Model(images, x).predict_on_batch(batch)
    _, second = found.model.predict_on_batch(batch)
    assert (before < 0).any()
    np.testing.assert_allclose(second, np.maximum(before, 0), rtol=1e-5)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    found = analysis.features(ModelA(width=1 / 64, input_shape=(3, 64, 64)))
    assert (found.strides, found.channels) == ([2, 4, 8, 16], [2, 4, 8, 8])


@pytest.mark.parametrize("stages", [[0], [5], [], [1.5], 3, "1", [True], [2.0], {1}])
def test_unknown_stages_are_refused(stages):
    message = f"from 1 to 4. Received: stages={stages!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        analysis.features(ModelA(width=1 / 64), stages)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2)]),
            "one batch of images",
        ),
        (lambda: "model_a", "Received: model='model_a'"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU()]),
            "must have convolutions",
        ),
    ],
)
def test_models_without_stages_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        analysis.features(model())
