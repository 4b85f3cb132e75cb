"""Running a model on batches of arrays: compiled, and on all devices of a strategy."""

import keras
import numpy as np


def runner(model, strategy=None):
    """Returns a function from a batch, a NumPy array, to the model's output as one.

    `predict` is not used with TensorFlow: on several machines it waits for all of
    them, which may have different numbers of batches, and it compiles anew, by XLA,
    for every size of image.

    Args:
        model: A `keras.Model` of one input and one output.
        strategy: `tf.distribute.Strategy` whose local replicas share each batch, with
            the TensorFlow backend.
    """
    if keras.backend.backend() == "tensorflow":
        return _on_replicas(model, strategy)
    return model.predict_on_batch


def _on_replicas(model, strategy):
    import tensorflow as tf

    from keras_prelu import distribution

    strategy = strategy or tf.distribute.get_strategy()
    replicas = len(distribution.devices(strategy))

    @tf.function(reduce_retracing=True)
    def step(shares):
        return strategy.run(lambda x: model(x, training=False), args=(shares,))

    def run(batch):
        if replicas == 1:
            shares = tf.convert_to_tensor(batch)
        else:
            shares = strategy.experimental_distribute_values_from_function(
                _sharing(batch, replicas)
            )
        results = strategy.experimental_local_results(step(shares))
        return np.concatenate([result.numpy() for result in results])[: len(batch)]

    return run


def _sharing(batch, replicas):
    """Returns the function from a replica's context to its share of a batch."""
    # The last picture stands in where there are fewer than replicas.
    places = np.minimum(np.arange(max(len(batch), replicas)), len(batch) - 1)
    shares = np.array_split(batch[places], replicas)
    return lambda context: shares[context.replica_id_in_sync_group % replicas]
