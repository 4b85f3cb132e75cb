"""Repairs of Keras 3's trainer under TensorFlow's distribution strategies.

Keras 3.15 has three defects that concern training on several devices and machines:

1. `fit` under `MultiWorkerMirroredStrategy` builds the model from one batch reduced
   over all replicas, which TensorFlow refuses. The batch's specification is enough.
2. It then averages each scalar log over the replicas along an axis that a scalar does
   not have (https://github.com/keras-team/keras/issues/20585).
3. `SeedGenerator` gives all replicas the same seed, so that they drop the same units.

`apply` repairs all three for one strategy. Keras has no hook for it, so the first call
replaces two functions of Keras's trainer and `SeedGenerator.next` for the whole
process. Under any other strategy, and without one, the replacements call Keras's own
functions and change nothing.

The tests in tests/keras_repairs_test.py show each defect in the installed Keras. A
`test_stock_*` that fails after an upgrade says which repair is no longer needed.
"""

import functools
import importlib
import warnings
import weakref
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_prelu.keras_internals import build_from_batch, internal

__all__ = [
    "apply",
    "stock",
    "warn_if_replicas_drop_alike",
]

_STOCK_NEXT = keras.random.SeedGenerator.next

# Seeds are taken modulo 2^31 - 2; a prime step keeps the replicas' seeds apart.
_SEED_STEP = 1_000_003

# The strategies that `apply` was called for.
_repaired: weakref.WeakSet = weakref.WeakSet()


class _Stock(NamedTuple):
    """The functions of Keras that the repairs replace."""

    trainer: Any  # the module keras.src.backend.tensorflow.trainer
    build: Any
    reduce: Any


@functools.cache
def stock() -> _Stock:
    """Return Keras's private functions as they were before any repair."""
    return _find_stock()


def _find_stock():
    module, purpose = "keras.src.backend.tensorflow.trainer", "Training on many devices"
    trainer = internal(module, "TensorFlowTrainer", purpose)
    return _Stock(
        importlib.import_module(module),
        internal(trainer, "_maybe_symbolic_build", purpose),
        internal(module, "reduce_per_replica", purpose),
    )


def apply(strategy: tf.distribute.Strategy) -> None:
    """Repair Keras for one strategy.

    Args:
        strategy: The strategy under which models will be trained.
    """
    trainer = stock().trainer
    trainer.TensorFlowTrainer._maybe_symbolic_build = _build
    trainer.reduce_per_replica = _reduce_per_replica
    keras.random.SeedGenerator.next = _next
    _repaired.add(strategy)


def warn_if_replicas_drop_alike() -> None:
    """Warn, once, if the current strategy's replicas all drop the same units."""
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync > 1 and strategy not in _repaired:
        _warn_that_replicas_drop_alike()


@functools.cache
def _warn_that_replicas_drop_alike():
    warnings.warn(
        "Under a plain `tf.distribute` strategy Keras drops the same units on all "
        "replicas. Create the strategy with `keras_prelu.distribution.strategy` to "
        "let each replica drop its own.",
        stacklevel=3,
    )


def _spans_workers(strategy):
    kind = tf.distribute.MultiWorkerMirroredStrategy
    return strategy in _repaired and isinstance(strategy, kind)


def _build(self, iterator=None, data_batch=None):
    """Build from the specification of a batch where a batch cannot be reduced."""
    strategy = self._distribute_strategy
    if iterator is None or strategy is None or not _spans_workers(strategy):
        return stock().build(self, iterator=iterator, data_batch=data_batch)
    return build_from_batch(self, iterator._distributed_dataset.element_spec)


def _reduce_per_replica(values, strategy, reduction):
    """Average scalars over all replicas of all workers without naming an axis."""
    if reduction not in ("auto", "mean") or not _spans_workers(strategy):
        return stock().reduce(values, strategy, reduction)
    return keras.tree.map_structure(
        lambda value: strategy.reduce("MEAN", value, axis=None), values
    )


def _next(self, ordered=True):
    """Give each replica its own seed, the same one in every run."""
    seed = _STOCK_NEXT(self, ordered)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.strategy not in _repaired:
        return seed
    number = tf.cast(replica.replica_id_in_sync_group, seed.dtype)
    return seed + tf.stack([number * _SEED_STEP, tf.zeros_like(number)])
