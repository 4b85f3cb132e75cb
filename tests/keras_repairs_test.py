"""Tests of the repairs of Keras's trainer, and of the defects that need them.

If a `test_stock_*` fails, the installed Keras no longer has that defect: delete the
repair from keras_prelu/keras_repairs.py, and the test with it.
"""

import json
import pathlib
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from loopback import outputs, start_workers

from keras_prelu import distribution, keras_repairs
from keras_prelu.data.pipeline_options import stream_options

pytestmark = pytest.mark.tensorflow_only

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "fit_on_workers.py"


@pytest.mark.slow
def test_stock_fit_cannot_build_on_workers():
    for printed in outputs(start_workers([SCRIPT, "none"])):
        assert "PerReplica" in printed
        assert "unsupported type" in printed


@pytest.mark.slow
def test_stock_fit_cannot_reduce_logs_of_workers():
    for printed in outputs(start_workers([SCRIPT, "build"])):
        assert "Invalid reduction dimension 0" in printed


def last_line(printed):
    return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
def test_repaired_fit_on_two_workers_equals_one():
    [alone] = map(last_line, outputs(start_workers([SCRIPT, "all"], count=1)))
    first, second = map(last_line, outputs(start_workers([SCRIPT, "all"])))
    workers = [run["worker"] for run in (alone, first, second)]
    assert workers == [[0, 1], [0, 2], [1, 2]]
    assert first["kernel"] == second["kernel"]
    assert first["metrics"] == second["metrics"]
    np.testing.assert_allclose(first["kernel"], alone["kernel"], rtol=0, atol=1e-5)
    assert first["metrics"] == pytest.approx(alone["metrics"], abs=1e-5)


def test_stock_seeds_are_the_same_on_all_replicas(monkeypatch):
    strategy = distribution.strategy("mirrored")  # applies the repairs
    monkeypatch.setattr(keras.random.SeedGenerator, "next", keras_repairs._STOCK_NEXT)
    np.testing.assert_array_equal(*masks(strategy))


def masks(strategy):
    """Return the dropout masks of the two replicas of a strategy."""
    with strategy.scope():
        layer = keras.layers.Dropout(0.5, seed=7)

    @tf.function
    def step():
        per_replica = strategy.run(lambda: layer(tf.ones((1, 64)), training=True))
        return strategy.experimental_local_results(per_replica)

    return step()


def test_the_repairs_leave_other_strategies_alone(monkeypatch):
    strategy = distribution.strategy("mirrored")
    first, second = masks(strategy)
    assert (first != second).numpy().any()
    monkeypatch.setattr(keras_repairs, "_repaired", weakref.WeakSet())
    np.testing.assert_array_equal(*masks(strategy))


def test_the_private_parts_of_keras_that_the_repairs_use_exist():
    """Fails after an upgrade of Keras that renames what the repairs call."""
    trainer = keras_repairs.stock().trainer
    assert hasattr(trainer.TensorFlowTrainer, "_maybe_symbolic_build")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    assert hasattr(model, "_distribute_strategy")
    batches = tf.data.Dataset.from_tensors(tf.ones((2, 4)))
    # TensorFlow's tuning thread could keep the iterator from ending.
    batches = batches.with_options(stream_options())
    strategy = distribution.strategy("mirrored")
    iterator = trainer.TFEpochIterator(strategy, x=batches)
    assert hasattr(iterator._distributed_dataset, "element_spec")


def test_a_keras_without_those_parts_is_named(monkeypatch):
    trainer = keras_repairs.stock().trainer
    monkeypatch.delattr(trainer, "reduce_per_replica")
    with pytest.raises(ImportError, match=r"version 3\..*pip install 'keras>=3.15"):
        keras_repairs._find_stock()
