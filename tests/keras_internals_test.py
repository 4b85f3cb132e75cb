"""Private parts of Keras: each still does what keras_prelu uses it for.

A test that fails after an upgrade of Keras names the function of
keras_prelu/keras_internals.py to adapt.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_prelu import keras_internals


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("keras.src.no_such_module", "name"),
        ("keras.src.backend", "no_such_attribute"),
        (keras.Model, "_no_such_method"),
    ],
)
def test_a_missing_part_is_named_with_the_versions_that_have_it(owner, name):
    missing = "no_such_module" if name == "name" else name
    with pytest.raises(ImportError, match=rf"^fisher needs .*{missing}.*<3\.17'"):
        keras_internals.internal(owner, name, "fisher")


def test_the_error_names_the_versions_in_setup_cfg():
    text = (Path(__file__).parents[1] / "setup.cfg").read_text()
    assert f"\n    {keras_internals.KERAS_REQUIREMENT}\n" in text


def test_layer_being_built_is_the_one_that_adds_a_weight():
    layers = []

    def zeros(shape, dtype):
        layers.append(keras_internals.layer_being_built())
        return keras.ops.zeros(shape, dtype)

    layer = keras.layers.Dense(2, kernel_initializer=zeros)
    layer.build((None, 3))
    assert layers == [layer]
    assert keras_internals.layer_being_built() is None


def test_keras_says_when_it_infers_shapes():
    seen = []

    class Layer(keras.layers.Layer):
        def call(self, x):
            seen.append(keras_internals.infers_shapes())
            return x

    layer = Layer()
    layer(keras.Input((3,)))
    layer(np.zeros((1, 3)))
    assert (seen[0], seen[-1]) == (True, False)


def unallocated(scope):
    """Return how many variables of a layer have no value once Keras has built more."""
    with scope:
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
    with keras.StatelessScope():
        pass  # Keras allocates all pending variables when it leaves this scope
    return sum(variable._value is None for variable in layer.weights)


def test_keras_alone_allocates_the_variables_of_a_stateless_scope_later():
    assert unallocated(keras.StatelessScope(initialize_variables=False)) == 0


def test_shapes_only_never_allocates_its_variables():
    assert unallocated(keras_internals.shapes_only()) == 2


def test_build_from_batch_builds_what_a_first_batch_would_build():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", loss="mse", metrics=["mae"])
    assert len(model.metrics_variables) == 2  # the mean of the loss
    keras_internals.build_from_batch(model, (np.ones((4, 3)), np.ones((4, 2))))
    assert len(model.metrics_variables) == 4
    shapes = {tuple(variable.shape) for variable in model.optimizer.variables}
    assert {(3, 2), (2,)} <= shapes
    assert model.optimizer.iterations == 0


def test_run_graph_calls_the_wrapper_for_every_use_of_a_layer():
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(3, name="shared")
    model = keras.Model(inputs, keras.layers.ReLU(name="relu")(layer(layer(inputs))))
    names = []

    def named(operation):
        def call(*args, **kwargs):
            names.append(operation.name)
            return operation(*args, **kwargs)

        return call

    x = keras.ops.ones((2, 3))
    output = keras_internals.run_graph(model, x, named)
    assert names == ["shared", "shared", "relu"]
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(output), model.predict(x, verbose=0)
    )


def test_calls_are_those_of_the_models_own_graph_from_the_inputs_to_the_outputs():
    layer = keras.layers.Dense(3, name="shared")
    model = keras.Sequential([keras.Input((3,), name="x"), layer])
    model.add(keras.layers.ReLU(name="relu"))  # Keras calls all layers again
    inputs, shared, relu = keras_internals.calls(model)
    names = [call.operation.name for call in (inputs, shared, relu)]
    assert names == ["x", "shared", "relu"]
    assert shared.inputs[0] is inputs.outputs[0] is model.inputs[0]
    assert relu.inputs[0] is shared.outputs[0]
    assert relu.outputs[0] is model.outputs[0]
    twice = keras.Model(model.inputs, keras.ops.tanh(layer(layer(model.inputs[0]))))
    names = [call.operation.name for call in keras_internals.calls(twice)]
    assert names[:3] == ["x", "shared", "shared"] and len(names) == 4


def test_calls_of_one_depth_have_the_order_of_the_layers():
    inputs = keras.Input((3,))
    branches = [keras.layers.Dense(3)(inputs) for _ in range(4)]
    deeper = [keras.layers.ReLU()(branches[i]) for i in (3, 1, 2, 0)]
    model = keras.Model(inputs, keras.layers.Add()([*deeper, *branches[:2]]))
    calls = [call.operation for call in keras_internals.calls(model)]
    assert calls == model.layers
