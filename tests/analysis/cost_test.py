"""Multiply-adds compared with counting by hand."""

import keras
import pytest

from keras_prelu.analysis import multiply_adds


def test_counts_convolutions_and_fully_connected_layers():
    inputs = keras.Input((9, 8, 6))
    x = keras.layers.Conv2D(10, 3, strides=2, padding="same", groups=2)(inputs)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(7)(x))
    # 5 x 4 positions, 10 filters, 3 x 3 windows of 3 channels; then 200 x 7 weights
    assert multiply_adds(model) == 5 * 4 * 10 * 9 * 3 + 200 * 7


def test_unknown_sizes_raise_an_error():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="first")(inputs))
    with pytest.raises(
        ValueError, match="`model`.*Received: a model whose layer 'first'"
    ):
        multiply_adds(model)
