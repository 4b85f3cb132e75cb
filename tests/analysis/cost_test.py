"""Multiply-adds compared with counting by hand."""

import keras
import pytest
from keras import layers

from keras_prelu.analysis import multiply_adds


def test_counts_convolutions_and_fully_connected_layers():
    inputs = keras.Input((9, 8, 6))
    x = keras.layers.Conv2D(10, 3, strides=2, padding="same", groups=2)(inputs)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(7)(x))
    # 5 x 4 positions, 10 filters, 3 x 3 windows of 3 channels; then 200 x 7 weights
    assert multiply_adds(model) == 5 * 4 * 10 * 9 * 3 + 200 * 7


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # 8 x 6 cells, each with a product of 3 and 5 channels
        (layers.Dense(5), 8 * 6 * 3 * 5),
        # 4 x 3 cells, 3 channels, each with 2 filters of 3 x 3
        (
            layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2),
            4 * 3 * 3 * 2 * 9,
        ),
        # the same, and then a product of 6 and 7 channels
        (
            layers.SeparableConv2D(7, 3, 2, padding="same", depth_multiplier=2),
            4 * 3 * (3 * 2 * 9 + 6 * 7),
        ),
        # each of 8 x 6 cells of 3 channels adds to 2 x 2 cells of 5 channels
        (layers.Conv2DTranspose(5, 2, strides=2), 8 * 6 * 3 * 2 * 2 * 5),
    ],
)
def test_counts_other_layers_with_kernels(layer, expected):
    assert multiply_adds(keras.Sequential([keras.Input((8, 6, 3)), layer])) == expected


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_quantization_does_not_change_the_count(mode):
    dense = layers.Dense(6)
    model = keras.Sequential([keras.Input((8,)), dense])
    dense.quantize(mode)
    assert multiply_adds(model) == 8 * 6


def test_counts_nested_models_and_every_use_of_a_layer():
    inputs = keras.Input((8, 6, 3))
    inner = keras.Sequential([inputs, layers.Conv2D(4, 3, padding="same")])
    dense = layers.Dense(4)
    x = dense(dense(layers.GlobalMaxPooling2D()(inner(inputs))))
    model = keras.Sequential([keras.Input((8, 6, 3)), keras.Model(inputs, x)])
    assert multiply_adds(model) == 8 * 6 * 9 * 3 * 4 + 2 * 4 * 4


def test_nested_models_count_at_the_size_that_they_are_used_at():
    images = keras.Input((None, None, 3))
    inner = keras.Model(images, layers.Conv2D(4, 3, padding="same")(images))
    model = keras.Sequential([keras.Input((8, 6, 3)), inner])
    assert multiply_adds(model) == 8 * 6 * 9 * 3 * 4


@pytest.mark.parametrize(
    "layer", [layers.LSTM(2), layers.EinsumDense("abc,cd->abd", (None, 2))]
)
def test_other_layers_with_kernels_are_refused(layer):
    model = keras.Sequential([keras.Input((4, 3)), layer])
    with pytest.raises(
        ValueError, match=f"Received: a model with <{type(layer).__name__}"
    ):
        multiply_adds(model)


def test_models_without_a_graph_are_refused():
    with pytest.raises(ValueError, match="must be a functional Keras model.*Received"):
        multiply_adds(keras.Sequential([layers.Dense(2)]))


def test_unknown_sizes_raise_an_error():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="first")(inputs))
    with pytest.raises(
        ValueError, match="`model`.*Received: a model whose layer 'first'"
    ):
        multiply_adds(model)
