"""A pass forward and a pass back through a model, with a look at every layer."""

from typing import NamedTuple

import keras
from keras import ops

from keras_prelu import model_surgery


class Seen(NamedTuple):
    """What one layer, or other operation, took and gave in a pass."""

    operation: object
    inputs: object
    response: object
    gradient: object = None

    @property
    def name(self):
        """The name of the layer."""
        return self.operation.name

    @property
    def kind(self):
        """The name of its class."""
        return type(self.operation).__name__


def _graph(model):
    """Returns a model as a graph of operations, checked."""
    if not model_surgery.is_functional(model) or not (
        len(model.inputs) == len(model.outputs) == 1
    ):
        raise ValueError(
            "Argument `model` must be a functional or built sequential Keras model of "
            f"one input and one output. Received: model={model!r}"
        )
    return keras.Model(model.inputs[0], model.outputs[0])


def _run(graph, images, probes=None):
    """Returns what each operation took and gave, and the output."""
    seen = []

    def watched(operation):
        def call(*args, **kwargs):
            response = operation(*args, **kwargs)
            if probes is not None:
                response = response + probes[len(seen)]
            seen.append(Seen(operation, args[0], response))
            return response

        return call

    # Keras's own way to run a graph, and the only one that shows each response of
    # the very pass that a gradient then goes back through.
    return seen, graph._run_through_graph([images], watched)


def _tensorflow_gradients(graph, images, objective):
    import tensorflow as tf

    # Of the variables none is watched: their gradients would take as much memory.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        seen, output = _run(graph, images)
        value = objective(output)
    responses = [each.response for each in seen]
    return seen, tape.gradient(value, responses)


def _torch_gradients(graph, images, objective):
    import torch

    seen, output = _run(graph, images.requires_grad_())
    responses = [each.response for each in seen]
    return seen, torch.autograd.grad(objective(output), responses)


def _jax_gradients(graph, images, objective):
    import jax

    # JAX differentiates by arguments: by zeros that are added to the responses.
    operations = []

    def responses(images):
        seen, _ = _run(graph, images)
        operations[:] = [each.operation for each in seen]
        return [each.response for each in seen]

    def value(probes):
        seen, output = _run(graph, images, probes)
        return objective(output), [(each.inputs, each.response) for each in seen]

    shapes = jax.eval_shape(responses, images)
    probes = [ops.zeros(shape.shape, shape.dtype) for shape in shapes]
    gradients, pairs = jax.grad(value, has_aux=True)(probes)
    seen = [Seen(op, *pair) for op, pair in zip(operations, pairs, strict=True)]
    return seen, gradients


_GRADIENTS = {
    "tensorflow": _tensorflow_gradients,
    "torch": _torch_gradients,
    "jax": _jax_gradients,
}


def _standardize(images):
    return ops.convert_to_tensor(images, dtype="float32")


def forward(model, images):
    """Returns a `Seen` for each layer, without gradients."""
    return _run(_graph(model), _standardize(images))[0]


def forward_and_back(model, images, objective):
    """Returns a `Seen` for each layer, with the gradient that reaches its response.

    Args:
        model: A functional `keras.Model` of one input and one output.
        images: Array of what the model takes.
        objective: Function from the model's output to the scalar whose gradient is
            sent back.
    """
    gradients_of = _GRADIENTS[keras.backend.backend()]
    seen, gradients = gradients_of(_graph(model), _standardize(images), objective)
    return [
        each._replace(gradient=gradient)
        for each, gradient in zip(seen, gradients, strict=True)
    ]
