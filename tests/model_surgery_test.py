"""The questions that other modules ask about a model have one owner."""

import keras
import pytest

from keras_prelu import model_surgery
from keras_prelu.applications import Model14
from keras_prelu.finetuning import with_new_head


class Subclassed(keras.Model):
    """A model without a graph of layers."""

    def call(self, x):
        return x


def test_functional_and_built_sequential_models_have_a_graph():
    dense = keras.layers.Dense(2)
    assert model_surgery.is_functional(Model14(width=1 / 64, classes=2))
    assert model_surgery.is_functional(keras.Sequential([keras.Input((3,)), dense]))


@pytest.mark.parametrize("other", [Subclassed(), keras.Sequential(), "model_a", None])
def test_other_objects_have_none(other):
    assert not model_surgery.is_functional(other)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (lambda: keras.layers.Dense(2, activation="softmax"), True),
        (lambda: keras.layers.Activation("softmax"), True),
        (lambda: keras.layers.Softmax(), True),
        (lambda: keras.layers.Dense(2), False),
        (lambda: keras.layers.Flatten(), False),
    ],
)
def test_a_softmax_is_recognized_in_all_its_forms(last, expected):
    model = keras.Sequential([keras.Input((2,)), last()])
    assert model_surgery.ends_in_softmax(model) == expected


def test_a_head_that_ends_in_a_softmax_layer_is_replaced():
    """The new head must take the features, not the old scores."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(9), keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((4, 4, 3)), *layers])
    copy, head = with_new_head(model, 3)
    assert copy.get_layer(head[0]).kernel.shape == (48, 3)
