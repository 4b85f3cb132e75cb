"""The questions that other modules ask about a model have one owner."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.applications import CONSTRUCTORS, Model14
from keras_prelu.finetuning import with_new_head
from keras_prelu.layers import PReLU, SpatialPyramidPooling


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


def pyramid_net(activation):
    """Build a sequential net of images with spatial pyramid pooling."""
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Conv2D(4, 3, padding="same"),
            PReLU(),
            SpatialPyramidPooling((2, 1)),
            keras.layers.Dense(3, activation=activation),
        ]
    )


@pytest.mark.parametrize("activation", ["softmax", None])
def test_sequential_models_are_taken_apart(activation):
    model = pyramid_net(activation)
    images = np.random.default_rng(0).normal(size=(2, 24, 24, 3)).astype("float32")
    expected = ops.convert_to_numpy(model(images))
    if activation is None:
        expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    # Before a model is called, it has no attribute `output`.
    scores = model_surgery.softmax_scores(pyramid_net(activation))
    scores.set_weights(model.get_weights())
    whole = model_surgery.any_size(scores)
    trunk, pooling, top, _ = model_surgery.split(scores)
    for answer in (whole(images), top(pooling(trunk(images)))):
        answer = ops.convert_to_numpy(answer)
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def images_to_scores(last):
    """Return a classifier of images that ends in a function of its logits."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, last(keras.layers.Dense(4)(x)))


@pytest.mark.parametrize("last", [ops.sigmoid, ops.abs, keras.activations.relu])
def test_other_operations_are_no_logits(last):
    model = images_to_scores(last)
    with pytest.raises(ValueError, match="end in a softmax or in logits.*Operation"):
        model_surgery.softmax_scores(model)


@pytest.mark.parametrize("softmax", [ops.softmax, keras.activations.softmax])
def test_scores_of_a_softmax_operation_stay_as_they_are(softmax):
    model = images_to_scores(softmax)
    assert model_surgery.ends_in_softmax(model)
    assert model_surgery.softmax_scores(model) is model


def test_a_layer_inside_the_model_can_be_named_softmax():
    """A gate, for instance."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    gate = keras.layers.Softmax(name="softmax")(keras.layers.Dense(3)(x))
    gate = keras.layers.Softmax(name="softmax_1")(gate)
    logits = keras.layers.Dense(2)(keras.layers.Multiply()([x, gate]))
    model = keras.Model(images, logits)
    scores = model_surgery.softmax_scores(model)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    exponentials = np.exp(model.predict(x, verbose=0))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores.predict(x, verbose=0), expected, atol=1e-6)


def test_the_softmax_has_its_usual_name_where_it_is_free():
    scores = model_surgery.softmax_scores(images_to_scores(lambda x: x))
    assert scores.layers[-1].name == "softmax"


def test_a_head_that_ends_in_a_softmax_layer_is_replaced():
    """The new head must take the features, not the old scores."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(9), keras.layers.Softmax()]
    model = keras.Sequential([keras.Input((4, 4, 3)), *layers])
    copy, head = with_new_head(model, 3)
    assert copy.get_layer(head[0]).kernel.shape == (48, 3)


@pytest.mark.parametrize(
    "name",
    [
        "model14",
        "model_a",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("model30", "model_b", "model_c")
        ),
    ],
)
def test_cell_centers_are_those_of_the_pixels_that_a_cell_depends_on(name):
    height, width = 48, 720
    inputs = keras.Input((height, width, 1))
    model = CONSTRUCTORS[name](
        input_tensor=inputs,
        width=1 / 64,
        activation="relu",
        include_preprocessing=False,
    )
    trunk, *_ = model_surgery.split(model)
    for layer in trunk.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.full(layer.kernel.shape, 0.5))
    columns = np.eye(width, dtype="float32")  # each image has one bright column
    images = np.repeat(columns[:, None, :, None], height, axis=1)
    maps = trunk.predict(images, batch_size=64, verbose=0)
    stride, offset = model_surgery.cell_centers(trunk)
    for cell in range(350 // stride, 350 // stride + 2):
        pixels = np.flatnonzero(maps[:, 1, cell].max(axis=-1))
        assert pixels[0] > 0 and pixels[-1] < width - 1  # no padding in it
        assert (pixels[0] + pixels[-1] + 1) / 2 == offset + cell * stride


def test_cell_centers_need_square_windows():
    images = keras.Input((None, None, 3))
    trunk = keras.Model(images, keras.layers.Conv2D(2, (3, 1))(images))
    with pytest.raises(ValueError, match="square windows.*Received"):
        model_surgery.cell_centers(trunk)


def test_strips_need_to_know_the_windows_of_all_calls():
    images = keras.Input((None, None, 3))
    pool = keras.layers.MaxPooling2D(2)
    twice = keras.Model(images, pool(pool(images)))
    assert model_surgery.margins(twice) == (4, 0, 1)
    assert model_surgery.cell_centers(twice) == (4, 2.0)
