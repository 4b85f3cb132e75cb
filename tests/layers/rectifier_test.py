"""The rectifier that XLA compiles within TensorFlow's graphs."""

import numpy as np
import pytest

from keras_prelu.layers import PReLU, rectifier

tf = pytest.importorskip("tensorflow")
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: E402

pytestmark = pytest.mark.tensorflow_only

SHAPE = (4, 64, 64, 64)  # just large enough to be compiled
SLOPES = np.linspace(-1, 2, 64, dtype="float32")


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(size=(2, *SHAPE)).astype("float32")
    x[0, 0] = 0.0  # in the formulas, zero belongs to the negative side
    return x, upstream


@pytest.fixture
def layer():
    layer = PReLU()
    layer.build(SHAPE)
    layer.alpha.assign(SLOPES)
    return layer


def step_of(layer, **options):
    @tf.function(**options)
    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, *tape.gradient(y, [x, layer.alpha.value], upstream)

    return step


def assert_as_in_the_formulas(results, x, upstream):
    y, x_gradient, alpha_gradient = results
    np.testing.assert_array_equal(y, np.where(x > 0, x, SLOPES * x))
    expected = np.where(x > 0, upstream, SLOPES * upstream)
    np.testing.assert_array_equal(x_gradient, expected)
    terms = upstream.astype("float64") * np.minimum(x, 0)
    expected = terms.sum(axis=(0, 1, 2))
    np.testing.assert_allclose(alpha_gradient, expected, rtol=1e-5, atol=1e-3)


def marked(function, *specs):
    """Return the types of the operations that XLA compiles."""
    graph = function.get_concrete_function(*specs).graph
    operations = graph.get_operations()
    return {op.type for op in operations if "_XlaCompile" in op.node_def.attr}


@pytest.mark.parametrize("device", ["CPU:0", "CPU:1"])
def test_compiled_results_match_the_formulas(layer, arrays, device):
    step = step_of(layer)
    with tf.device(device):
        inputs = [tf.constant(array) for array in arrays]
        for _ in range(4):  # XLA compiles at the second or third call
            assert_as_in_the_formulas(step(*inputs), *arrays)
    assert marked(step, *inputs) >= {"SelectV2", "Mul", "Minimum"}


@pytest.mark.parametrize("shared", [False, True])
def test_compiled_results_with_the_channels_first(arrays, shared):
    x, upstream = (array.transpose(0, 3, 1, 2) for array in arrays)
    layer = PReLU(shared=shared, data_format="channels_first")
    layer.build(x.shape)
    slopes = SLOPES[:1] if shared else SLOPES
    layer.alpha.assign(slopes)
    step = step_of(layer)
    for _ in range(3):
        y, x_gradient, alpha_gradient = step(tf.constant(x), tf.constant(upstream))
    slopes = slopes[:, None, None]
    np.testing.assert_array_equal(y, np.where(x > 0, x, slopes * x))
    np.testing.assert_array_equal(
        x_gradient, np.where(x > 0, upstream, slopes * upstream)
    )
    expected = (upstream.astype("float64") * np.minimum(x, 0)).sum(axis=(0, 2, 3))
    expected = expected.sum(keepdims=True) if shared else expected
    np.testing.assert_allclose(alpha_gradient, expected, rtol=1e-4, atol=2e-3)


def test_compiled_results_match_the_formulas_in_replicas(layer, arrays):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = PReLU()
        layer.build(SHAPE)
    layer.alpha.assign(SLOPES)
    inputs = tuple(tf.constant(array) for array in arrays)

    @tf.function
    def forward():
        return strategy.run(layer, inputs[:1])

    for _ in range(3):
        for y in strategy.experimental_local_results(forward()):
            x = arrays[0]
            np.testing.assert_array_equal(y, np.where(x > 0, x, SLOPES * x))


def test_it_works_within_a_compiled_function(layer, arrays):
    step = step_of(layer, jit_compile=True)
    assert_as_in_the_formulas(step(*map(tf.constant, arrays)), *arrays)


def test_bfloat16_is_rounded_as_without_xla(arrays):
    layer = PReLU(dtype="mixed_bfloat16")
    layer.build(SHAPE)
    layer.alpha.assign(SLOPES)
    inputs = [tf.cast(array, "bfloat16") for array in arrays]
    step = step_of(layer)
    compiled = [step(*inputs) for _ in range(4)][-1]
    spec = tf.TensorSpec([None, None, None, 64], "bfloat16")
    plain = step_of(layer, input_signature=[spec] * 2)(*inputs)
    for ours, theirs in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(
            tf.cast(ours, "float32"), tf.cast(theirs, "float32")
        )


def test_gradients_of_gradients(layer, arrays):
    @tf.function
    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(x) ** 2
            gradient = inner.gradient(y, x)
        return outer.gradient(gradient, x)

    x = tf.constant(arrays[0])
    for _ in range(3):
        expected = 2 * np.where(arrays[0] > 0, 1, SLOPES**2)
        np.testing.assert_allclose(second(x), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(None, 64, 64, 64), (4, None, 64, 64), (4, 8, 8, 64)]
)
def test_unknown_and_small_shapes_are_not_compiled(layer, shape):
    spec = tf.TensorSpec(shape)
    assert not marked(step_of(layer), spec, spec)


def test_saved_models_hold_no_operation_of_xla(layer, tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(SHAPE)])
        def __call__(self, x):
            return layer(x)

    module = Module()
    module.alpha = layer.alpha.value
    tf.saved_model.save(module, str(tmp_path))
    model = SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    operations = {node.op for function in functions for node in function.node_def}
    assert "SelectV2" in operations
    assert not any("Xla" in name for name in operations)
    attributes = {name for function in functions for name in function.attr}
    assert "_XlaMustCompile" not in attributes


def test_the_size_from_which_it_is_compiled_is_that_of_the_tests():
    assert np.prod(SHAPE) == rectifier._WORTH_COMPILING
