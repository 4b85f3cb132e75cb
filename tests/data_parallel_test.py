"""Tests of the repair of Keras's iterator on JAX, and of the defect that needs it.

If `test_stock_*` fails, the installed Keras no longer has the defect: delete the repair
from keras_prelu/data_parallel.py.
"""

import keras
import numpy as np
import pytest

from keras_prelu import data_parallel

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX")

DEVICES = ["cpu:0", "cpu:1"]
# The mean of the values is the loss. The devices cannot share the last batch of one.
VALUES = np.array([[1.0], [2.0], [3.0], [4.0], [10.0]], "float32")


def loss():
    """Return the loss of a model that returns its input, over batches of two."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile(loss="mae")
    return model.evaluate(VALUES, 0 * VALUES, batch_size=2, verbose=0)


def test_stock_data_parallelism_cannot_divide_a_last_batch():
    with (
        keras.distribution.DataParallel(devices=DEVICES).scope(),
        pytest.raises(ValueError, match="divi"),
    ):
        loss()


def test_every_image_of_a_batch_that_cannot_be_divided_counts_once():
    with data_parallel.KerasStrategy(DEVICES).scope():
        assert loss() == pytest.approx(4.0, rel=1e-6)
    assert keras.distribution.distribution() is None


def test_other_batches_are_divided():
    strategy = data_parallel.KerasStrategy(DEVICES)
    with strategy.scope():
        distribution = keras.distribution.distribution()
    assert distribution.get_data_layout((4, 3)).axes == ("batch", None)
    assert distribution.get_data_layout((5, 3)).axes == (None, None)


def test_the_repair_leaves_other_distributions_alone():
    data_parallel.KerasStrategy(DEVICES)  # repairs
    test_stock_data_parallelism_cannot_divide_a_last_batch()


def test_a_keras_without_those_parts_is_named(monkeypatch):
    iterator = data_parallel._iterator_class()
    monkeypatch.delattr(iterator, "_one_batch_ahead_iterator")
    with pytest.raises(ImportError, match=r"version 3\..*pip install 'keras>=3.15"):
        data_parallel._iterator_class()
