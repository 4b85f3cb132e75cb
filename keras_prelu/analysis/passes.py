"""Forward and backward passes through a model that record every layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_prelu import model_surgery
from keras_prelu.keras_internals import run_graph
from keras_prelu.types import Tensor

__all__ = ["Record", "forward", "forward_and_back", "functional"]


class Record(NamedTuple):
    """Inputs, response and gradient of one layer, or other operation, in a pass."""

    operation: Any
    inputs: Tensor
    response: Tensor
    gradient: Tensor = None

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.operation.name

    @property
    def kind(self) -> str:
        """Name of the layer's class."""
        return type(self.operation).__name__


def functional(model: keras.Model) -> keras.Model:
    """Return a model as a functional model, or raise a ValueError.

    Args:
        model: A functional or built sequential model of one input and one output.
    """
    if not model_surgery.is_functional(model) or not (
        len(model.inputs) == len(model.outputs) == 1
    ):
        raise ValueError(
            "Argument `model` must be a functional or built sequential Keras model of "
            f"one input and one output. Received: model={model!r}"
        )
    return keras.Model(model.inputs[0], model.outputs[0])


def _run(model, images, probes=None):
    """Return the records of all operations, and the output.

    Args:
        model: A model that `functional` returned.
        images: Tensor for the model.
        probes: Optional tensors, one to add to each response.
    """
    records = []

    def recorded(operation):
        def call(*args, **kwargs):
            response = operation(*args, **kwargs)
            if probes is not None:
                response = response + probes[len(records)]
            records.append(Record(operation, args[0], response))
            return response

        return call

    return records, run_graph(model, images, recorded)


def _tensorflow_gradients(model, images, objective):
    import tensorflow as tf

    # Gradients of the variables would take as much memory as the variables.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        records, output = _run(model, images)
        value = objective(output)
    responses = [record.response for record in records]
    return records, tape.gradient(value, responses)


def _torch_gradients(model, images, objective):
    import torch

    # Detached, so that the caller's tensor does not change.
    records, output = _run(model, images.detach().requires_grad_())
    responses = [record.response for record in records]
    return records, torch.autograd.grad(objective(output), responses)


def _jax_gradients(model, images, objective):
    import jax

    # JAX only differentiates by arguments, so zeros are added to the responses and the
    # gradients are those of the zeros.
    operations = []

    def responses(images):
        records, _ = _run(model, images)
        operations[:] = [record.operation for record in records]
        return [record.response for record in records]

    def value(probes):
        records, output = _run(model, images, probes)
        tensors = [(record.inputs, record.response) for record in records]
        return objective(output), tensors

    shapes = jax.eval_shape(responses, images)
    probes = [ops.zeros(shape.shape, shape.dtype) for shape in shapes]
    gradients, tensors = jax.grad(value, has_aux=True)(probes)
    pairs = zip(operations, tensors, strict=True)
    return [Record(operation, *both) for operation, both in pairs], gradients


_GRADIENTS = {
    "tensorflow": _tensorflow_gradients,
    "torch": _torch_gradients,
    "jax": _jax_gradients,
}


def _standardize(images):
    return ops.convert_to_tensor(images, dtype="float32")


def forward(model: keras.Model, images: Tensor) -> list[Record]:
    """Return the record of each layer in a forward pass.

    Args:
        model: A functional `keras.Model` with one input and one output.
        images: Array of the model's inputs.
    """
    return _run(functional(model), _standardize(images))[0]


def forward_and_back(
    model: keras.Model, images: Tensor, objective: Callable[[Tensor], Tensor]
) -> list[Record]:
    """Return the record of each layer in a forward and a backward pass.

    Args:
        model: A functional `keras.Model` with one input and one output.
        images: Array of the model's inputs.
        objective: Function from the model's output to the scalar to differentiate.
    """
    gradients_of = _GRADIENTS[keras.backend.backend()]
    records, gradients = gradients_of(
        functional(model), _standardize(images), objective
    )
    return [
        record._replace(gradient=gradient)
        for record, gradient in zip(records, gradients, strict=True)
    ]
