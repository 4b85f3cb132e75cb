"""The models compared with the paper's tables; gradients, saving and arguments."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_prelu
from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.applications.nets import NETS
from keras_prelu.keras_internals import shapes_only

# Narrow models of small images, to keep the tests fast.
SMALL = {"width": 1 / 32, "classes": 5, "input_shape": (32, 32, 3)}
every_net = pytest.mark.parametrize("net", NETS)
# Where that takes long, the models that differ most.
nets_by_speed = pytest.mark.parametrize(
    "net",
    [
        net
        if net in ("model_a", "model14")
        else pytest.param(net, marks=pytest.mark.slow)
        for net in NETS
    ],
)


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def numpy_of(x):
    return ops.convert_to_numpy(x)


# Tables 1 and 3 and section 2.3 of the paper. Each block of convolutions has: side of
# the map at 224x224, side of the kernel, filters, number of convolutions.
LARGE = "112 7 96 1, 56 3 {} {n}, 28 3 {} {n}, 14 3 {} {n}"
PAPER_TABLES = {
    "model_a": (LARGE.format(256, 512, 512, n=5), 49 + 9 + 4 + 1),
    "model_b": (LARGE.format(256, 512, 512, n=6), 49 + 9 + 4 + 1),
    "model_c": (LARGE.format(384, 768, 896, n=6), 49 + 9 + 4 + 1),
    "model14": ("112 7 64 1, 37 2 128 4, 18 2 256 6", 36 + 9 + 4 + 1),
    "model30": ("112 7 64 1, 37 2 128 4, 18 2 256 22", 36 + 9 + 4 + 1),
}


def costs_by_hand(net):
    """Return multiply-adds, and weights and biases, counted from the paper's table."""
    blocks, bins = PAPER_TABLES[net]
    operations = parameters = 0
    channels = 3
    for block in blocks.split(", "):
        side, kernel, filters, count = map(int, block.split())
        for _ in range(count):
            weights = kernel**2 * channels * filters
            operations += side**2 * weights
            parameters += weights + filters
            channels = filters
    for inputs, units in ((bins * channels, 4096), (4096, 4096), (4096, 1000)):
        operations += inputs * units
        parameters += inputs * units + units
    return operations, parameters


@pytest.mark.parametrize("activation", ["relu", "prelu"])
@every_net
def test_costs_match_the_papers_tables(net, activation):
    with shapes_only():
        model = CONSTRUCTORS[net](activation=activation)
    operations, parameters = costs_by_hand(net)
    assert multiply_adds(model) == operations
    uncounted = {"mean", "alpha"}
    counted = [w for w in model.weights if w.name not in uncounted]
    assert sum(np.prod(w.shape) for w in counted) == parameters
    slopes = sum(np.prod(w.shape) for w in model.weights if w.name == "alpha")
    filters = [
        int(b.split()[2]) * int(b.split()[3]) for b in PAPER_TABLES[net][0].split(", ")
    ]
    assert slopes == (sum(filters) + 2 * 4096 if activation == "prelu" else 0)


@pytest.mark.parametrize(
    ("net", "published", "tolerance"),
    [("model_a", 1.906e10, 1e-3), ("model_b", 2.322e10, 1e-3)]
    + [("model_c", 5.30e10, 1e-2)],
)
def test_multiply_adds_match_table_3(net, published, tolerance):
    # With 64 filters in the first layer, A and B would have 1.5 % fewer.
    with shapes_only():
        model = CONSTRUCTORS[net]()
    assert multiply_adds(model) == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize(
    ("net", "convolutions"),
    [("model_a", 16), ("model_b", 19), ("model_c", 19), ("model14", 11)]
    + [("model30", 27)],
)
def test_depths_and_map_sizes_match_the_paper(net, convolutions):
    with shapes_only():
        model = CONSTRUCTORS[net]()
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == convolutions
    assert kinds.count("Dense") == 3
    last = next(x for x in reversed(model.layers) if x.name.startswith("conv"))
    side = 14 if net.startswith("model_") else 18
    assert last.output.shape[1:3] == (side, side)
    spp = model.get_layer("spp")
    assert spp.levels == ((7, 3, 2, 1) if side == 14 else (6, 3, 2, 1))


def test_shared_slopes_add_13_parameters_to_model14():
    with shapes_only():
        relu = CONSTRUCTORS["model14"](activation="relu").count_params()
        shared = CONSTRUCTORS["model14"](activation="prelu_shared").count_params()
    assert shared - relu == 13


def test_layers_have_readable_names():
    with shapes_only():
        names = [layer.name for layer in CONSTRUCTORS["model_a"]().layers]
    assert names[:6] == ["images", "mean", "scale", "conv1", "prelu1", "pool1"]
    assert {"conv3_4", "prelu3_4", "pool3"} <= set(names)
    assert names[-9:] == [
        "spp", "fc1", "prelu_fc1", "drop1", "fc2", "prelu_fc2", "drop2", "fc3",
        "predictions",
    ]  # fmt: skip


def gradients(model, x, y):
    """Return the gradients of the cross-entropy for all trainable variables."""
    loss = keras.losses.SparseCategoricalCrossentropy()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(y, model(x))
        return tape.gradient(value, [v.value for v in model.trainable_variables])
    if keras.backend.backend() == "jax":
        import jax

        frozen = model.non_trainable_variables

        def value(trainable):
            return loss(y, model.stateless_call(trainable, frozen, x)[0])

        return jax.jit(jax.grad(value))([v.value for v in model.trainable_variables])
    loss(y, model(x)).backward()
    return [v.value.grad for v in model.trainable_variables]


@every_net
def test_every_variable_gets_a_gradient(net):
    # Inputs of unit variance, so that the softmax does not saturate.
    model = CONSTRUCTORS[net](**SMALL, include_preprocessing=False)
    x = np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype("float32")
    all_gradients = gradients(model, x, np.arange(16) % 5)
    pairs = zip(model.trainable_variables, all_gradients, strict=True)
    for variable, gradient in pairs:
        values = numpy_of(gradient)
        assert np.isfinite(values).all(), variable.path
        assert np.abs(values).max() > 0, variable.path


@nets_by_speed
def test_saved_models_predict_exactly_the_same(net, tmp_path):
    model = CONSTRUCTORS[net](**SMALL)
    x = images(3, 32, 32, 3)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    model.save_weights(tmp_path / "model.weights.h5")
    arguments = {**SMALL, "weights": tmp_path / "model.weights.h5"}
    rebuilt = CONSTRUCTORS[net](**arguments)
    np.testing.assert_array_equal(rebuilt.predict(x, verbose=0), expected)


def test_integers_and_floats_give_the_same_scores():
    model = CONSTRUCTORS["model_a"](**SMALL)
    x = images(3, 32, 32, 3)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), model.predict(x.astype("float32"), verbose=0)
    )


def test_the_top_takes_images_of_any_size():
    arguments = {**SMALL, "input_shape": (None, None, 3)}
    model = CONSTRUCTORS["model_a"](**arguments)
    for size in (160, 224, 320):
        fixed = CONSTRUCTORS["model_a"](**{**SMALL, "input_shape": (size, size, 3)})
        fixed.set_weights(model.get_weights())
        x = images(1, size, size, 3)
        np.testing.assert_allclose(
            model.predict(x, verbose=0), fixed.predict(x, verbose=0), atol=1e-6
        )


@pytest.mark.parametrize("net", ["model_a", "model14"])
def test_weights_fit_both_data_formats(net):
    last = CONSTRUCTORS[net](**SMALL)
    keras.config.set_image_data_format("channels_first")
    first = CONSTRUCTORS[net](**{**SMALL, "input_shape": (3, 32, 32)})
    first.set_weights(last.get_weights())
    x = images(2, 32, 32, 3)
    np.testing.assert_allclose(
        first.predict(x.transpose(0, 3, 1, 2), verbose=0),
        last.predict(x, verbose=0),
        atol=1e-5,
    )


@every_net
def test_smallest_size_is_the_smallest_that_works(net):
    size = NETS[net].smallest_size
    arguments = {**SMALL, "input_shape": (size, size, 3)}
    scores = CONSTRUCTORS[net](**arguments).predict(images(1, size, size, 3), verbose=0)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match=f"at least {size} for this network. Received"):
        CONSTRUCTORS[net](**{**SMALL, "input_shape": (size - 1, size, 3)})


# At a width of 1/4, conv3_1 has 64 input and 128 output channels, fc1 takes 63 bins of
# 128 channels, and both fc1 and fc2 have 1024 units.
@pytest.mark.parametrize(
    ("layer", "std"),
    [
        ("conv3_1", np.sqrt(2 / (1.0625 * 9 * 128))),  # Eqn. 14: fan-out
        ("fc1", np.sqrt(2 / (1.0625 * 63 * 128))),  # Eqn. 10: fan-in
        ("fc2", np.sqrt(2 / (1.0625 * 1024))),
        ("fc3", 0.01),
    ],
)
def test_convolutions_start_by_eqn_14_and_fully_connected_layers_by_eqn_10(layer, std):
    model = CONSTRUCTORS["model_a"](width=0.25, input_shape=(32, 32, 3))
    kernel, bias = model.get_layer(layer).weights
    # The nearest wrong answer, which ignores the slope of 0.25, is 3 % away.
    assert numpy_of(kernel).std() == pytest.approx(std, rel=0.01)
    assert not numpy_of(bias).any()


@pytest.mark.parametrize(
    ("activation", "kind", "parameters"),
    [("prelu", "PReLU", 16), ("prelu_shared", "PReLU", 1), ("relu", "ReLU", 0)]
    + [("leaky_relu", "LeakyReLU", 0)],
)
def test_activations_have_the_right_layer_and_slopes(activation, kind, parameters):
    model = CONSTRUCTORS["model_a"](**SMALL, activation=activation)
    layer = next(x for x in model.layers if x.name.endswith("relu3_1"))
    assert type(layer).__name__ == kind
    assert layer.count_params() == parameters


def test_scores_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = CONSTRUCTORS["model_a"](**SMALL)
    scores = model.predict(images(2, 32, 32, 3), verbose=0)
    assert scores.dtype == "float32"
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert model.get_layer("conv3_1").compute_dtype == "bfloat16"


def test_without_three_channels_the_mean_starts_at_zero_and_adapts():
    model = CONSTRUCTORS["model_a"](**{**SMALL, "input_shape": (32, 32, 1)})
    mean = model.get_layer("mean")
    np.testing.assert_array_equal(numpy_of(mean.mean), [0])
    mean.adapt(np.full((2, 32, 32, 1), 9, "uint8"))
    np.testing.assert_array_equal(numpy_of(mean.mean), [9])


def test_takes_an_input_tensor():
    images_in = keras.Input((32, 32, 3))
    bright = keras.layers.Rescaling(0.5)(images_in)
    arguments = {**SMALL, "input_shape": None, "input_tensor": bright}
    model = CONSTRUCTORS["model_a"](**arguments)
    plain = CONSTRUCTORS["model_a"](**SMALL)
    plain.set_weights(model.get_weights())
    x = images(2, 32, 32, 3).astype("float32")
    np.testing.assert_array_equal(
        model.predict(x, verbose=0), plain.predict(x * 0.5, verbose=0)
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("activation", "selu"),
        ("activation", ["prelu"]),
        ("pooling", "mean"),
        ("pooling", np.array(["avg", "max"])),
        ("width", 0),
        ("width", -1.0),
        ("width", float("inf")),
        ("classes", 0),
        ("classes", 2.5),
        ("classes", True),
        ("dropout", 1.0),
        ("input_shape", 224),
        ("input_shape", True),
        ("input_shape", (32, 32)),
        ("input_shape", (32, 32, None)),
        ("input_shape", (0, 32, 3)),
        ("input_shape", (8, 32, 3)),
        ("weights", 3),
        ("weights", "imagenett"),
        ("input_tensor", np.zeros((1, 32, 32, 3))),
    ],
)
def test_wrong_arguments_raise_an_error_before_anything_is_built(
    argument, value, monkeypatch
):
    def built(*arguments, **keywords):
        raise AssertionError("a layer was built")

    monkeypatch.setattr(keras.layers.Layer, "add_weight", built)
    with pytest.raises(ValueError, match=f"`{argument}`.*Received: {argument}="):
        CONSTRUCTORS["model_a"](**{"width": 1 / 32, argument: value})


def test_takes_numbers_of_numpy():
    model = CONSTRUCTORS["model_a"](
        input_shape=np.array((32, 32, 3)),
        classes=np.int64(10),
        width=np.float32(1 / 64),
        dropout=np.float32(0.25),
    )
    assert model.output_shape == (None, 10)


def test_thirty_layers_do_not_shift_the_content_of_a_map():
    # All convolutions compute averages. Padded at one end only, 22 of them would shift
    # the content by 11 cells.
    model = keras_prelu.applications.Model30(
        include_top=False,
        include_preprocessing=False,
        activation="relu",
        input_shape=(192, 192, 3),
        width=1 / 256,
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.full(layer.kernel.shape, 1 / np.prod(layer.kernel.shape[:3]))
            layer.set_weights([kernel, np.zeros(layer.bias.shape)])
    image = np.zeros((1, 192, 192, 3), "float32")
    image[:, 80:112, 80:112] = 1
    values = numpy_of(model(image))[0, :, :, 0]
    positions = np.arange(len(values)) + 0.5
    center = [values.sum(axis) @ positions / values.sum() for axis in (0, 1)]
    assert len(values) == 16
    np.testing.assert_allclose(center, (8, 8), atol=1)
