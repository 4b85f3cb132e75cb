"""Predictions for batches of arrays, compiled and on all devices of a strategy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_prelu import distribution

__all__ = ["runner"]


def runner(
    model: keras.Model, strategy: Any = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a batch of images to the model's outputs.

    With TensorFlow, `predict` is not used: on several machines it waits until all have
    a batch, though their numbers of batches may differ, and it compiles again for every
    image size.

    Args:
        model: A `keras.Model` of one input and one output.
        strategy: A `tf.distribute.Strategy` whose local replicas share each batch.
            Defaults to the current strategy. Ignored without the TensorFlow backend.
    """
    if keras.backend.backend() == "tensorflow":
        return _on_replicas(model, strategy)
    return model.predict_on_batch


def _on_replicas(model, strategy):
    import tensorflow as tf

    strategy = strategy or tf.distribute.get_strategy()
    replicas = len(distribution.devices(strategy))

    @tf.function(reduce_retracing=True)
    def step(shards):
        return strategy.run(lambda x: model(x, training=False), args=(shards,))

    def run(batch):
        if replicas == 1:
            shards = tf.convert_to_tensor(batch)
        else:
            shards = strategy.experimental_distribute_values_from_function(
                _shard_of_replica(batch, replicas)
            )
        # TensorFlow warns about functions that are traced for several shapes, unless
        # they are traced explicitly. A few shapes are expected here.
        traced = step.get_concrete_function(shards)
        results = strategy.experimental_local_results(traced(shards))
        return np.concatenate([result.numpy() for result in results])[: len(batch)]

    return run


def _shard_of_replica(batch, replicas):
    """Return a function from a replica's context to its shard of a batch."""
    # A batch with fewer images than replicas is padded with its last image.
    rows = np.minimum(np.arange(max(len(batch), replicas)), len(batch) - 1)
    shards = np.array_split(batch[rows], replicas)
    return lambda context: shards[context.replica_id_in_sync_group % replicas]
