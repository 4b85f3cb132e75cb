"""The new head of a copy of a model."""

import warnings

import keras
import numpy as np
import pytest

from keras_prelu import applications
from keras_prelu.finetuning import with_new_head
from tests.finetuning.small_tuning import bright_and_dark, small_net


def net(**arguments):
    return applications.ModelA(
        width=1 / 64, classes=10, input_shape=(32, 32, 3), **arguments
    )


@pytest.mark.tensorflow_only
def test_the_copy_has_the_body_of_the_model_and_a_new_head():
    model = net()
    before = [w.copy() for w in model.get_weights()]
    copy, head = with_new_head(model, 3)
    assert copy.output_shape == (None, 3)
    for layer in copy.layers:
        if layer.name not in head:
            ours = model.get_layer(layer.name).get_weights()
            for a, b in zip(ours, layer.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    kernel, bias = copy.get_layer("fc3").get_weights()
    # The standard error of 192 values is 5 %, and Keras's default would be 0.17.
    assert 0.008 < kernel.std() < 0.012
    assert not bias.any()
    copy.set_weights([w + 1 for w in copy.get_weights()])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pooling", [None, "avg"])
def test_a_model_without_a_top_gets_one(pooling):
    model = net(include_top=False, pooling=pooling)
    copy, head = with_new_head(model, 3)
    x = bright_and_dark(2)[0]
    features = model.predict(x, verbose=0)
    features = features if pooling else features.mean(axis=(1, 2))
    kernel, bias = copy.get_layer(head[0]).get_weights()
    logits = features @ kernel + bias
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(copy.predict(x, verbose=0), scores, atol=1e-5)


@pytest.mark.parametrize("inputs", ["tensor", "list", "sequential"])
def test_the_copy_takes_what_the_model_takes(inputs):
    """Keras warns about inputs in another form than the one a model is built with."""
    images = keras.Input((32, 32, 3))
    layers = [keras.layers.Flatten(), keras.layers.Dense(4)]
    if inputs == "sequential":
        model = keras.Sequential([images, *layers])
    else:
        given = images if inputs == "tensor" else [images]
        model = keras.Model(given, layers[1](layers[0](images)))
    x = bright_and_dark(2)[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The structure of `inputs`")
        scores = with_new_head(model, 3)[0]([x] if inputs == "list" else x)
    assert scores.shape == (2, 3)


@pytest.mark.tensorflow_only
def test_a_model_of_keras_gets_a_new_head_too():
    model = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), include_top=False, pooling="avg"
    )
    copy, _ = with_new_head(model, 3)
    assert copy.output_shape == (None, 3)
    classifier = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, activation="softmax", name="a")]
    )
    copy, head = with_new_head(classifier, 3)
    assert [layer.name for layer in copy.layers][1:] == head == ["a", "a_softmax"]


@pytest.mark.tensorflow_only
def test_a_model_of_keras_with_another_top_keeps_it():
    model = keras.applications.MobileNet(
        alpha=0.25, weights=None, input_shape=(32, 32, 3), classes=10
    )
    assert "predictions" in [layer.name for layer in model.layers]
    copy, head = with_new_head(model, 3)
    assert head == ["head", "predictions_1"]
    assert [layer.name for layer in copy.layers[-2:]] == head


def test_all_layers_of_the_head_have_names_of_their_own():
    taken = ["head", "head_1", "predictions", "head_pool"]
    layers = [keras.layers.ReLU(name=name) for name in taken]
    copy, head = with_new_head(keras.Sequential([keras.Input((4, 4, 3)), *layers]), 3)
    assert head == ["head_2", "predictions_1"]
    names = [layer.name for layer in copy.layers][1:]
    assert names == [*taken, "head_pool_1", *head]
    layers = [keras.layers.ReLU(name="a_softmax"), keras.layers.Dense(5, name="a")]
    copy, head = with_new_head(keras.Sequential([keras.Input((4,)), *layers]), 3)
    assert head == ["a", "a_softmax_1"]


def test_a_head_of_one_class_is_refused():
    with pytest.raises(ValueError, match="`classes`.*at least 2. Received: classes=1"):
        with_new_head(small_net(), classes=1)


def test_a_model_without_a_graph_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="`model` must be a functional or built"):
        with_new_head(Own(), 3)
    maps = keras.Sequential([keras.Input((4, 3)), keras.layers.ReLU()])
    with pytest.raises(
        ValueError, match=r"Received: model.output_shape=\(None, 4, 3\)"
    ):
        with_new_head(maps, 3)
