"""Analyses per layer, compared with NumPy and with the paper's theory."""

import io
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu import analysis
from keras_prelu.analysis import information, passes
from keras_prelu.initializers import HeNormal
from keras_prelu.layers import PReLU

rng = np.random.default_rng(0)


def dense_net(first, second, alpha):
    """Return a model that computes `prelu(x @ first) @ second`."""
    model = keras.Sequential(
        [
            keras.Input(first.shape[:1]),
            keras.layers.Dense(first.shape[1], use_bias=False, name="a"),
            PReLU(name="b"),
            keras.layers.Dense(second.shape[1], use_bias=False, name="c"),
        ]
    )
    model.set_weights([first, alpha, second])
    return model


def test_variances_match_a_pass_in_numpy():
    first, second = rng.normal(size=(5, 4)), rng.normal(size=(4, 3))
    alpha, x = np.array([0.1, -0.2, 0.5, 2.0]), rng.normal(size=(7, 5))
    table = analysis.signal_propagation(dense_net(first, second, alpha), x)

    y = x @ first
    z = np.where(y > 0, y, alpha * y)
    noise = ops.convert_to_numpy(keras.random.normal((7, 3), seed=0))
    z_gradient = noise @ second.T
    y_gradient = z_gradient * np.where(y > 0, 1, alpha)
    assert [tuple(row[:2]) for row in table] == [
        ("a", "Dense"),
        ("b", "PReLU"),
        ("c", "Dense"),
    ]
    expected = [y.var(), z.var(), (z @ second).var()]
    np.testing.assert_allclose(table.column("forward"), expected, rtol=1e-4)
    expected = [y_gradient.var(), z_gradient.var(), noise.var()]
    np.testing.assert_allclose(table.column("backward"), expected, rtol=1e-4)


@pytest.mark.parametrize(("slope", "bits"), [(0.0, 0), (1.0, -29)])
def test_he_keeps_signals_through_thirty_layers_and_xavier_loses_them(slope, bits):
    layers = []
    for _ in range(30):
        kernel = HeNormal(slope, seed=len(layers))
        layers += [keras.layers.Dense(256, kernel_initializer=kernel)]
        layers += [keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((256,)), *layers])
    table = analysis.signal_propagation(model, rng.normal(size=(32, 256)))
    rows = [row for row in table if row.kind == "Dense"]
    # The tolerance is 3 bits, and the two initializers differ by 29 bits.
    forward = np.log2(rows[-1].forward / rows[0].forward)
    backward = np.log2(rows[0].backward / rows[-1].backward)
    np.testing.assert_allclose([forward, backward], [bits, bits], atol=3)


def test_slopes_are_measured_per_layer():
    alpha = np.array([0.1, -0.2, 0.5, 2.0])
    model = dense_net(np.ones((5, 4)), np.ones((4, 3)), alpha)
    model.layers[1].trainable = False
    (row,) = analysis.slopes(model)
    assert (row.name, row.count) == ("b", 4)
    np.testing.assert_allclose(row[2:], [0.6, alpha.std(), -0.2, 2.0], rtol=1e-6)


def test_slopes_of_something_else_are_refused():
    with pytest.raises(ValueError, match="`model` must be.*Received: model=None"):
        analysis.slopes(None)


class Block(keras.layers.Layer):
    """A layer with a PReLU of its own."""

    def __init__(self, name):
        super().__init__(name=name)
        self.rectify = PReLU(alpha_initializer=0.3, name="same")

    def build(self, shape):
        self.rectify.build(shape)

    def call(self, x):
        return self.rectify(x)


def test_slopes_of_nested_models_with_equal_names_are_all_measured():
    inputs = keras.Input((3,))
    inner = PReLU(alpha_initializer=0.1, name="same")(inputs)
    functional = keras.Model(inputs, PReLU(name="alone")(inner), name="a")
    same = PReLU(alpha_initializer=0.2, name="same")
    sequential = keras.Sequential([inputs, same, Block("block")], name="b")
    outputs = keras.layers.Add()([functional(inputs), sequential(inputs)])
    table = analysis.slopes(keras.Model(inputs, outputs))
    names = ["a/same", "alone", "b/same", "b/block/same"]
    assert table.column("name").tolist() == names
    np.testing.assert_allclose(table.column("mean"), [0.1, 0.25, 0.2, 0.3], rtol=1e-6)


def test_responses_have_means_and_dead_units():
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(8, 1, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.ReLU(name="relu")(x))
    kernel, _ = model.get_weights()
    bias = np.array([-100.0, -100] + [100] * 6)  # the first two units are dead
    model.set_weights([kernel, bias])
    x = rng.normal(size=(6, 4, 4, 3))
    conv, relu = analysis.responses(model, x)
    y = x.reshape(-1, 3) @ kernel[0, 0] + bias
    np.testing.assert_allclose((conv.mean, conv.std), (y.mean(), y.std()), rtol=1e-4)
    np.testing.assert_allclose(relu.mean, np.maximum(y, 0).mean(), rtol=1e-4)
    assert (conv.dead, relu.dead) == (0, 0.25)


def test_dead_units_of_maps_with_the_channels_first():
    keras.config.set_image_data_format("channels_first")
    inputs = keras.Input((3, 4, 4))
    x = keras.layers.Conv2D(8, 1, name="conv")(inputs)
    keras.config.set_image_data_format("channels_last")
    model = keras.Model(inputs, keras.layers.ReLU(name="relu")(x))
    kernel, _ = model.get_weights()
    model.set_weights([kernel, np.array([-100.0, -100] + [100] * 6)])
    conv, relu = analysis.responses(model, rng.normal(size=(6, 3, 4, 4)))
    assert (conv.dead, relu.dead) == (0, 0.25)


def test_dead_units_of_vectors():
    model = dense_net(np.eye(4), np.eye(4), np.zeros(4))
    x = np.abs(rng.normal(size=(6, 4))) * [1, 1, 1, -1]
    assert analysis.responses(model, x).column("dead").tolist() == [0, 0.25, 0.25]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_fisher_information_does_not_depend_on_the_data_format(padding):
    def net(data_format, shape):
        keras.config.set_image_data_format(data_format)
        return keras.Sequential(
            [
                keras.Input(shape),
                keras.layers.Conv2D(4, 3, strides=2, padding=padding),
                PReLU(),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3),
                keras.layers.Softmax(),
            ]
        )

    last, first = net("channels_last", (8, 6, 2)), net("channels_first", (2, 8, 6))
    first.set_weights(last.get_weights())
    x = rng.normal(size=(20, 8, 6, 2))
    expected = analysis.fisher(last, x)  # while the global setting is channels_first
    table = analysis.fisher(first, x.transpose(0, 3, 1, 2))
    assert table.column("kind").tolist() == ["Conv2D", "Dense"]
    for column in ("diagonal", "block"):
        assert (expected.column(column) > 1.1).all()
        np.testing.assert_allclose(
            table.column(column), expected.column(column), rtol=1e-3
        )
    keras.config.set_image_data_format("channels_last")
    assert analysis.fisher(last, x)[0].block == pytest.approx(expected[0].block)


def binary_classifier(count):
    """Return a model that gives both classes a score of 1/2."""
    layer = keras.layers.Dense(2, kernel_initializer="zeros")
    return keras.Sequential([keras.Input((count,)), layer, keras.layers.Softmax()])


def test_conditioning_matches_the_second_moments_of_the_inputs():
    # The squared error of the scores is 1/4 for any label, so only inputs matter.
    x = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + [0, 1, 2, 3]
    (row,) = analysis.fisher(binary_classifier(4), x)
    with_bias = np.concatenate([x, np.ones((50, 1))], axis=1)
    moments = with_bias.T @ with_bias / 50
    values = np.linalg.eigvalsh(moments)
    np.testing.assert_allclose(row.block, values[-1] / values.mean(), rtol=1e-3)
    diagonal = np.diag(moments)
    np.testing.assert_allclose(
        row.diagonal, diagonal.max() / diagonal.mean(), rtol=1e-3
    )


def test_fisher_refuses_models_without_a_softmax():
    model = dense_net(np.ones((5, 4)), np.ones((4, 3)), np.ones(4))
    with pytest.raises(ValueError, match="`model` must end in a softmax.*Received: mo"):
        analysis.fisher(model, np.ones((2, 5)))


def test_images_of_the_caller_get_no_gradient():
    images = ops.ones((2, 4), dtype="float32")
    analysis.signal_propagation(binary_classifier(4), images)
    assert not getattr(images, "requires_grad", False)  # an attribute in PyTorch


@pytest.mark.tensorflow_only
def test_gradients_per_image_match_single_images():
    import tensorflow as tf

    conv = keras.layers.Conv2D(3, 3, strides=2, padding="same")
    flat = keras.layers.Flatten()
    model = keras.Sequential([keras.Input((6, 5, 2)), conv, flat])
    x = rng.normal(size=(4, 6, 5, 2)).astype("float32")
    conv.bias.assign([0.5, -1, 2])
    record = passes.forward_and_back(model, x, lambda y: ops.sum(y**3))[0]
    gradients = information._gradients_per_image(record)
    for image, gradient in zip(x, gradients, strict=True):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(model(image[None]) ** 3)
        kernel, bias = tape.gradient(value, conv.trainable_weights)
        expected = np.concatenate([np.reshape(kernel, (-1, 3)), bias[None]])
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


def test_models_with_two_inputs_raise_an_error():
    one, two = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([one, two], keras.layers.Add()([one, two]))
    for analyse in (analysis.signal_propagation, analysis.responses, analysis.fisher):
        with pytest.raises(
            ValueError, match="`model`.*one input and one output. Received: model="
        ):
            analyse(model, np.zeros((1, 3)))


def tables():
    model, x = binary_classifier(4), rng.normal(size=(9, 4))
    yield analysis.signal_propagation(model, x)
    yield analysis.responses(model, x)
    yield analysis.slopes(dense_net(np.ones((5, 4)), np.ones((4, 3)), np.ones(4)))
    yield analysis.fisher(model, x)


def test_every_table_prints_and_draws(monkeypatch):
    for table in tables():
        lines = str(table).splitlines()
        assert len(lines) == len(table) + 2
        assert {line.count("|") for line in lines} == {len(table[0]) + 1}
        stream = io.BytesIO()
        table.plot().savefig(stream)
        assert len(stream.getvalue()) > 5000
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        ImportError,
        match=r"pip install 'keras-prelu\[plots\]'.*'\.\[plots\]' in a clone",
    ):
        table.plot()
