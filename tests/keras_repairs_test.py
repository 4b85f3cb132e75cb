"""Keras's trainer on several machines: what is broken there, and that it is mended.

A `test_stock_*` that fails means that the installed Keras has mended this itself:
delete that repair from keras_prelu/keras_repairs.py, and the test with it.
"""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from loopback import outputs, start_workers

from keras_prelu import distribution, keras_repairs

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
    strategy = distribution.strategy("mirrored")  # puts the repairs in place
    monkeypatch.setattr(keras.random.SeedGenerator, "next", keras_repairs._STOCK_NEXT)
    with strategy.scope():
        layer = keras.layers.Dropout(0.5, seed=7)

    @tf.function
    def masks():
        per_replica = strategy.run(lambda: layer(tf.ones((1, 64)), training=True))
        return strategy.experimental_local_results(per_replica)

    np.testing.assert_array_equal(*masks())
