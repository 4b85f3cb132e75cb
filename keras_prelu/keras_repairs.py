"""Repairs of Keras 3's trainer under TensorFlow's distribution strategies.

Three places of Keras stand in the way of training on several devices and machines:

1. `fit` under `MultiWorkerMirroredStrategy` builds the model from one batch reduced
   over all replicas, which TensorFlow refuses. The batch's specification is enough.
2. It then averages each scalar log over the replicas along an axis that a scalar does
   not have (https://github.com/keras-team/keras/issues/20585).
3. `SeedGenerator` gives all replicas the same seed, so that they drop the same units.

`apply` mends all three for the process. It changes nothing where there is one replica.
tests/keras_repairs_test.py shows each defect in the installed Keras: a test there that
fails after an upgrade says which repair to delete.
"""

import functools
import warnings

import keras
import tensorflow as tf
from keras.src import tree
from keras.src.backend.tensorflow import trainer as keras_trainer

_STOCK_BUILD = keras_trainer.TensorFlowTrainer._maybe_symbolic_build
_STOCK_REDUCE = keras_trainer.reduce_per_replica
_STOCK_NEXT = keras.random.SeedGenerator.next

# Seeds are taken modulo 2^31 - 2; a prime step keeps those of replicas apart.
_SEED_STEP = 1_000_003


def apply():
    """Puts the repairs in place. Calling it again does nothing more."""
    keras_trainer.TensorFlowTrainer._maybe_symbolic_build = _build
    keras_trainer.reduce_per_replica = _reduce_per_replica
    keras.random.SeedGenerator.next = _next


def warn_if_replicas_drop_alike():
    """Warns, once, under a strategy of several replicas without the third repair."""
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    if several and keras.random.SeedGenerator.next is not _next:
        _warn_that_replicas_drop_alike()


@functools.cache
def _warn_that_replicas_drop_alike():
    warnings.warn(
        "Under a plain `tf.distribute` strategy Keras drops the same units on all "
        "replicas. Make the strategy with `keras_prelu.distribution.strategy`, and "
        "each replica drops its own.",
        stacklevel=3,
    )


def _spans_workers(strategy):
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )


def _build(self, iterator=None, data_batch=None):
    """Builds from what a batch looks like, where a batch cannot be reduced."""
    strategy = self._distribute_strategy
    if iterator is None or strategy is None or not _spans_workers(strategy):
        return _STOCK_BUILD(self, iterator=iterator, data_batch=data_batch)
    return build_from_specification(self, iterator._distributed_dataset.element_spec)


def build_from_specification(model, specification):
    """Builds what a compiled model still lacks (loss, metrics, optimizer).

    Keras does so at the first batch; a run that resumes must fill its metrics before.

    Args:
        model: A compiled `keras.Model`.
        specification: The `element_spec` of the data it will be trained on.
    """
    of_one_replica = tree.map_structure(
        lambda spec: getattr(spec, "_value_specs", (spec,))[0], specification
    )
    with model.distribute_strategy.scope():
        model._symbolic_build(data_batch=of_one_replica)


def _reduce_per_replica(values, strategy, reduction):
    """Averages scalars over all replicas of all workers without naming an axis."""
    if reduction not in ("auto", "mean") or not _spans_workers(strategy):
        return _STOCK_REDUCE(values, strategy, reduction)
    return tree.map_structure(
        lambda value: strategy.reduce("MEAN", value, axis=None), values
    )


def _next(self, ordered=True):
    """Gives each replica its own seed, the same one in every run."""
    seed = _STOCK_NEXT(self, ordered)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return seed
    number = tf.cast(replica.replica_id_in_sync_group, seed.dtype)
    return seed + tf.stack([number * _SEED_STEP, tf.zeros_like(number)])
