"""PReLU compared with the paper's formulas in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from keras.src.testing import TestCase

from keras_prelu.layers import PReLU


def reference(x, alpha, axis):
    """Return output and gradients in float64, for an upstream gradient of cos(x)."""
    x = np.moveaxis(np.asarray(x, "float64"), axis, -1)
    upstream = np.cos(x)
    y = np.where(x > 0, x, alpha * x)
    x_gradient = upstream * np.where(x > 0, 1.0, alpha)
    terms = upstream * np.where(x > 0, 0.0, x)
    alpha_gradient = terms.reshape(-1, x.shape[-1]).sum(0)
    if alpha.size == 1:
        alpha_gradient = alpha_gradient.sum(keepdims=True)
    return np.moveaxis(y, -1, axis), np.moveaxis(x_gradient, -1, axis), alpha_gradient


def gradients(layer, x, upstream):
    """Return the gradients of the input and of the slopes, on any backend."""
    x = ops.cast(x, layer.compute_dtype)
    upstream = ops.cast(upstream, layer.compute_dtype)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, layer.alpha.value], output_gradients=upstream)
    if keras.backend.backend() == "jax":
        import jax

        def f(x, alpha):
            return layer.stateless_call([alpha], [], x)[0]

        return jax.vjp(f, x, layer.alpha.value)[1](upstream)
    x = x.requires_grad_()
    layer(x).backward(upstream)
    return x.grad, layer.alpha.value.grad


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shape", [(5, 3), (4, 5, 3), (2, 3, 5, 6), (2, 3, 2, 4, 3)])
def test_output_and_gradients_match_the_formulas(shape, data_format, shared):
    axis = 1 if data_format == "channels_first" else len(shape) - 1
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("float32")
    x.flat[0] = 0.0  # in the formulas, zero belongs to the negative side
    alpha = rng.normal(size=1 if shared else shape[axis]).astype("float32")
    layer = PReLU(shared=shared, data_format=data_format)
    layer.build(shape)
    layer.alpha.assign(alpha)
    y, x_gradient, alpha_gradient = reference(x, alpha, axis)

    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), y, rtol=1e-6)
    actual = [ops.convert_to_numpy(g) for g in gradients(layer, x, np.cos(x))]
    np.testing.assert_allclose(actual[0], x_gradient, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(actual[1], alpha_gradient, rtol=1e-5, atol=1e-6)


# The backends round subnormal numbers to zero.
NUMBERS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_slope_zero_is_relu_and_slope_one_is_the_identity(values):
    x = np.array(values, "float32")[:, None]
    zero = PReLU(alpha_initializer=0)(x)
    one = PReLU(alpha_initializer=1)(x)
    np.testing.assert_array_equal(ops.convert_to_numpy(zero), np.maximum(x, 0))
    np.testing.assert_array_equal(ops.convert_to_numpy(one), x)


def test_has_one_slope_per_channel_at_every_image_size():
    layer = PReLU()
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    assert layer.alpha.shape == (3,)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.alpha), [0.25] * 3)
    for size in (224, 448):
        y = model(np.full((1, size, size, 3), -8.0, "float32"))
        np.testing.assert_array_equal(
            ops.convert_to_numpy(y), np.full((1, size, size, 3), -2.0)
        )
    assert layer.alpha.shape == (3,)


def test_slopes_stay_float32_under_mixed_precision():
    layer = PReLU(dtype="mixed_bfloat16")
    y = layer(np.array([[-1.0, 1.0]], "float32"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert layer.alpha.dtype == "float32"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "in_graph", [False, pytest.param(True, marks=pytest.mark.tensorflow_only)]
)
def test_slope_gradient_is_summed_precisely_in_half_precision(
    dtype, shared, data_format, in_graph
):
    # 50,176 terms with a sum of about -80,000. A sum kept in bfloat16 or float16 would
    # stop growing long before the end, and the largest float16 is 65,504.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 56, 56, 4)).astype("float32")
    upstream = rng.uniform(0, 8, size=x.shape).astype("float32")
    if data_format == "channels_first":
        x, upstream = (array.transpose(0, 3, 1, 2) for array in (x, upstream))
    layer = PReLU(shared=shared, data_format=data_format, dtype=f"mixed_{dtype}")
    layer.build(x.shape)
    compute = gradients
    if in_graph:
        import tensorflow as tf

        compute = tf.function(gradients)
    actual = ops.convert_to_numpy(compute(layer, x, upstream)[1])

    rounded = [
        ops.convert_to_numpy(ops.cast(ops.cast(array, dtype), "float32"))
        for array in (x, upstream)
    ]
    terms = np.minimum(rounded[0].astype("float64"), 0) * rounded[1]
    axes = (0, 2, 3) if data_format == "channels_first" else (0, 1, 2)
    expected = terms.sum() if shared else terms.sum(axes)
    assert np.abs(expected).min() > 65504
    np.testing.assert_allclose(actual, np.ravel(expected), rtol=1 / 256)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_integers_become_floats(dtype):
    x = np.array([[-4, 2]], dtype)
    inputs = keras.Input((2,), dtype=dtype)
    model = keras.Model(inputs, PReLU()(inputs))
    for y in (PReLU()(x), model(x)):
        assert keras.backend.standardize_dtype(y.dtype) == model.outputs[0].dtype
        assert model.outputs[0].dtype == "float32"
        np.testing.assert_array_equal(ops.convert_to_numpy(y), [[-1, 2]])


def test_unsigned_integers_become_floats_of_the_compute_dtype():
    y = PReLU(dtype="mixed_bfloat16")(np.array([[0, 200]], "uint8"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.cast(y, "float32")), [[0, 200]]
    )


def test_both_data_formats_give_equal_outputs():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    last, first = PReLU(), PReLU(data_format="channels_first")
    last.build(x.shape)
    first.build((2, 3, 4, 5))
    for layer in (last, first):
        layer.alpha.assign([0.1, -0.5, 2.0])
    y = ops.convert_to_numpy(first(x.transpose(0, 3, 1, 2))).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(ops.convert_to_numpy(last(x)), y)


@pytest.mark.tensorflow_only
def test_gradient_keeps_only_the_input_and_the_slopes():
    import tensorflow as tf

    layer = PReLU()
    layer.build((None, 8, 8, 4))

    @tf.function
    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, layer.alpha.value], output_gradients=upstream)

    shape = (2, 8, 8, 4)
    graph = step.get_concrete_function(tf.ones(shape), tf.ones(shape)).graph
    # The forward pass rectifies twice. If the gradient consumed either result, it
    # would have to be kept in memory.
    relus = [op for op in graph.get_operations() if op.type == "Relu"]
    consumers = {c.type for op in relus for c in op.outputs[0].consumers()}
    assert len(relus) == 2
    assert consumers <= {"Mul", "AddV2"}
    assert not any(op.type == "ReluGrad" for op in graph.get_operations())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shared": [1, 2]}, r"`shared`.*Received: shared=\[1, 2\]"),
        ({"shared": 1}, r"`shared`.*Received: shared=1"),
        ({"data_format": "NHWC"}, r"`data_format`.*Received: data_format='NHWC'"),
        ({"shared_axes": [1, 2]}, r"`shared_axes` must be left out.*=\[1, 2\]$"),
    ],
)
def test_wrong_arguments_raise_errors_that_name_them(arguments, message):
    with pytest.raises(ValueError, match=message):
        PReLU(**arguments)


@pytest.mark.parametrize("shape", [(3,), (None, 4, None)])
def test_input_shapes_without_channels_raise_an_error(shape):
    with pytest.raises(ValueError, match="Received: input_shape="):
        PReLU().build(shape)


class KerasContract(TestCase):
    """Keras's checks for layers."""

    def test_contract(self):
        for arguments in (
            {},
            {"shared": True, "alpha_initializer": "zeros"},
            {"alpha_regularizer": "l2", "alpha_constraint": "non_neg"},
        ):
            regularized = "alpha_regularizer" in arguments
            self.run_layer_test(
                PReLU,
                init_kwargs=arguments,
                input_shape=(2, 6, 5, 3),
                expected_output_shape=(2, 6, 5, 3),
                expected_num_trainable_weights=1,
                expected_num_non_trainable_weights=0,
                expected_num_losses=int(regularized),
                supports_masking=True,
            )


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("shared", [False, True])
def test_litert_converts_it_to_one_prelu_op_for_any_size(shared):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    layer = PReLU(shared=shared)
    layer.build((None, None, None, 4))
    layer.alpha.assign([0.5] if shared else [0.5, -0.25, 0.0, 2.0])

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 4))])
        def __call__(self, x):
            return layer(x)

    module = Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    interpreter = Interpreter(model_content=converter.convert())
    operations = [o["op_name"] for o in interpreter._get_ops_details()]
    assert [name for name in operations if name != "DELEGATE"] == ["PRELU"]
    for size in ((1, 3, 5, 4), (2, 7, 2, 4)):
        x = np.random.default_rng(0).normal(size=size).astype("float32")
        interpreter.resize_tensor_input(0, size)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_allclose(output, layer(x), rtol=1e-6)
