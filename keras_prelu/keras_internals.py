"""Access to parts of Keras that have no public name.

Each function imports what it needs when it is called, and raises an error that names
the missing part if the installed version of Keras no longer has it.
tests/keras_internals_test.py checks each of them, so that an upgrade of Keras cannot
change their results unnoticed.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

__all__ = [
    "KERAS_REQUIREMENT",
    "Call",
    "build_from_batch",
    "calls",
    "infers_shapes",
    "internal",
    "layer_being_built",
    "run_graph",
    "shapes_only",
]

# The versions in setup.cfg.
KERAS_REQUIREMENT = "keras>=3.15,<3.17"


def internal(owner: Any, name: str, purpose: str) -> Any:
    """Return an attribute of a private module or object of Keras.

    Args:
        owner: Name of the module, or the object.
        name: Name of the attribute.
        purpose: What needs the attribute, for the error.

    Raises:
        ImportError: If the installed version of Keras has no such module or attribute.

    Examples:
        >>> scope = internal("keras.src.backend", "StatelessScope", "this example")
        >>> scope is keras.StatelessScope
        True
    """
    try:
        if isinstance(owner, str):
            owner = importlib.import_module(owner)
        return getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise ImportError(
            f"{purpose} needs a part of Keras that version {keras.version()} does not "
            f"have ({error}): pip install '{KERAS_REQUIREMENT}'"
        ) from error


def _global_state(function, purpose):
    return internal("keras.src.backend.common.global_state", function, purpose)


def layer_being_built() -> keras.layers.Layer | None:
    """Return the layer whose weight is being created, or `None` outside of a layer.

    Initializers receive only the shape of a weight. Keras opens a name scope around
    its creation, and the scope knows the layer.
    """
    get = _global_state("get_global_attribute", "keras_prelu.initializers.HeNormal")
    scopes = get("name_scope_stack") or [None]
    caller = getattr(scopes[-1], "caller", None)
    return caller if isinstance(caller, keras.layers.Layer) else None


def infers_shapes() -> bool:
    """Return whether Keras calls layers for the shapes of their outputs only.

    On PyTorch it passes ordinary tensors of ones then.
    """
    get = _global_state("get_global_attribute", "keras_prelu.layers.RegionPooling")
    return get("symbolic_scope") is not None


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Build models in this scope without values, so that they take no memory.

    Use it to look at a model of any size before building it. The variables of such a
    model can never be read. Build nothing else in this scope.
    """
    purpose = "keras_prelu.keras_internals.shapes_only"
    get = _global_state("get_global_attribute", purpose)
    set_ = _global_state("set_global_attribute", purpose)
    pending = "uninitialized_variables"
    before = list(get(pending, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Otherwise Keras would allocate these variables with the next model it builds.
        set_(pending, before)


def build_from_batch(model: keras.Model, batch: Any) -> None:
    """Build the parts that a compiled model still lacks: loss, metrics, optimizer.

    Keras builds them at the first batch. A run that resumes must restore the values of
    its metrics before that.

    Args:
        model: A compiled `keras.Model`.
        batch: A batch of its training data, or the `element_spec` of a
            `tf.data.Dataset`. Only the shapes and dtypes are used.
    """
    build = internal(model, "_symbolic_build", "Exact resume")
    of_one_replica = keras.tree.map_structure(
        lambda spec: getattr(spec, "_value_specs", (spec,))[0], batch
    )
    # Models have a strategy on TensorFlow only.
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy else contextlib.nullcontext():
        build(data_batch=of_one_replica)


def run_graph(model: keras.Model, inputs: Any, operation_fn: Any) -> Any:
    """Run a functional model, with a wrapper around each of its operations.

    Only this shows the response of every operation in the same pass that a gradient
    then goes back through, also for layers that are used more than once.

    Args:
        model: A functional `keras.Model` with one input.
        inputs: Tensor for that input.
        operation_fn: Function from an operation to the function to call in its place.

    Returns:
        The model's output.
    """
    run = internal(model, "_run_through_graph", "keras_prelu.analysis")
    return run([inputs], operation_fn)


class Call(NamedTuple):
    """One call of a layer, or other operation, in the graph of a model."""

    operation: Any
    inputs: list[keras.KerasTensor]
    outputs: list[keras.KerasTensor]


def calls(model: keras.Model) -> list[Call]:
    """Return the calls of all operations of a model, from its inputs to its outputs.

    Calls of the same depth have the order of `model.layers`.

    `layer.input` and `layer.output` belong to the first call of a layer anywhere. If a
    layer is used more than once, or a sequential model has grown by `add`, that is
    another tensor than the one that the model's output depends on.

    Args:
        model: A functional or built sequential `keras.Model`.
    """
    graph = keras.Model(model.inputs, model.outputs)  # sequential models have none
    by_depth = internal(graph, "_nodes_by_depth", "keras_prelu.model_surgery")
    position = {operation: i for i, operation in enumerate(graph.operations)}
    return [
        Call(node.operation, node.input_tensors, node.outputs)
        for depth in sorted(by_depth, reverse=True)
        for node in sorted(by_depth[depth], key=lambda x: position[x.operation])
    ]
