"""Tests that two logical devices train as one does, with different dropout masks."""

import json
import socket
import types
import warnings
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from loopback import free_ports, outputs, start_workers

from keras_prelu import distribution, keras_repairs
from keras_prelu.optimizers import SGD

ON_ONE_DEVICE = keras.backend.backend() == "torch"
several_devices = pytest.mark.skipif(ON_ONE_DEVICE, reason="trains on one device")


def make_data(examples):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(examples, 8, 8, 3)).astype("float32")
    return images, rng.integers(0, 4, examples)


def train(strategy, examples, clip=None, batch_size=8):
    """Return the weights and metrics after one epoch under a strategy."""
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(6, 3),
                keras.layers.PReLU(shared_axes=[1, 2]),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
        loss = "sparse_categorical_crossentropy"
        optimizer = SGD(0.02, global_clipnorm=clip)
        model.compile(optimizer, loss=loss, metrics=["accuracy"])
        images, labels = make_data(examples)
        batches = tf.data.Dataset.from_tensor_slices((images, labels))
        batches = batches.batch(batch_size)
        history = model.fit(
            batches.take(len(labels) // batch_size),
            epochs=1,
            validation_data=batches,
            verbose=0,
        )
    return model.get_weights(), {k: v[0] for k, v in history.history.items()}


# 29 leaves a last batch of 5, split into 3 and 2, on JAX given to both devices as a
# whole; 26 a batch of 2, one per replica. The gradients' norm is 3 to 5 times the limit
# of 0.5, so that every step clips.
@several_devices
@pytest.mark.parametrize(
    ("examples", "clip"),
    [
        pytest.param(32, None, marks=[pytest.mark.tensorflow_only, pytest.mark.slow]),
        pytest.param(29, None, marks=pytest.mark.tensorflow_only),
        pytest.param(26, None, marks=[pytest.mark.tensorflow_only, pytest.mark.slow]),
        (29, 0.5),
    ],
)
def test_two_devices_equal_one(examples, clip):
    weights, metrics = train(distribution.strategy("one_device"), examples, clip)
    two = distribution.strategy("mirrored")
    assert two.num_replicas_in_sync == 2
    mirrored_weights, mirrored_metrics = train(two, examples, clip)
    for ours, theirs in zip(weights, mirrored_weights, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
    assert mirrored_metrics == pytest.approx(metrics, abs=1e-5)


def dropped(steps=3):
    """Return the dropout masks of two replicas, one row per step."""
    strategy = distribution.strategy("mirrored")
    with strategy.scope():
        layer = keras.layers.Dropout(0.5, seed=7)
        layer.build((1, 64))

    @tf.function
    def step():
        per_replica = strategy.run(lambda: layer(tf.ones((1, 64)), training=True))
        return strategy.experimental_local_results(per_replica)

    return np.array([[mask.numpy()[0] for mask in step()] for _ in range(steps)])


@pytest.mark.tensorflow_only
def test_replicas_drop_different_units_the_same_in_every_run():
    masks = dropped()
    distinct = {mask.tobytes() for mask in masks.reshape(-1, 64)}
    assert len(distinct) == masks.shape[0] * masks.shape[1]
    np.testing.assert_array_equal(masks, dropped())


def kept_units(name):
    """Return which units a training step keeps, one row for each of four images.

    The step's gradient for a unit is the sum of the labels of all images that keep it.
    """
    with distribution.strategy(name).scope():
        dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        dropout = keras.layers.Dropout(0.5, seed=7)
        model = keras.Sequential([keras.Input((64,)), dropout, dense])
        model.compile(keras.optimizers.SGD(1.0), loss="mse")
        labels = 10.0 ** np.arange(4)
        model.fit(np.ones((4, 64)), labels, 4, shuffle=False, verbose=0)
    sums = np.rint(keras.ops.convert_to_numpy(dense.kernel)[:, 0]).astype(int)
    return np.array([sums // 10**row % 10 for row in range(4)])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX")
def test_devices_on_jax_drop_the_units_that_one_device_drops():
    kept = kept_units("mirrored")
    assert set(kept.ravel()) == {0, 1}
    assert len({row.tobytes() for row in kept}) == 4  # two images on each device
    np.testing.assert_array_equal(kept, kept_units("one_device"))


@pytest.mark.tensorflow_only
def test_one_device_draws_what_keras_draws():
    distribution.strategy("mirrored")  # applies the repairs
    ours = keras.layers.Dropout(0.5, seed=7)(tf.ones((1, 64)), training=True)
    seed = tf.constant([7, 0])
    stock = tf.nn.experimental.stateless_dropout(tf.ones((1, 64)), 0.5, seed=seed)
    np.testing.assert_array_equal(ours, stock)


@pytest.mark.tensorflow_only
def test_auto_is_one_device_without_gpus(monkeypatch):
    assert distribution.strategy("auto") is tf.distribute.get_strategy()
    assert distribution.worker(distribution.strategy("mirrored")) == (0, 1)


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match="mirrored.*Received: name='tpu'"):
        distribution.strategy("tpu")


@pytest.mark.tensorflow_only
def test_refuses_unknown_machines(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(ValueError, match="Received: name=.*neither TF_CONFIG"):
        distribution.strategy("multi_worker")


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_other_backends_train_on_one_machine():
    strategy = distribution.strategy("auto")
    assert strategy.num_replicas_in_sync == 1
    assert distribution.worker(strategy) == (0, 1)
    [device] = distribution.devices(strategy)
    assert device.startswith("cpu")
    with pytest.raises(ValueError, match="Received: name='mul.*backend '"):
        distribution.strategy("multi_worker")
    if ON_ONE_DEVICE:
        with pytest.raises(ValueError, match="or JAX. Received: name='mir.*'t"):
            distribution.strategy("mirrored")
    else:
        devices = distribution.devices(distribution.strategy("mirrored"))
        assert devices == ("cpu:0", "cpu:1")


@pytest.mark.tensorflow_only
def test_waits_for_the_other_workers_and_names_them(monkeypatch):
    mine, present, missing = (f"localhost:{port}" for port in free_ports(3))
    logged = []
    monkeypatch.setattr("absl.logging.warning", lambda *args: logged.append(args[1]))
    cluster = {"worker": [mine, present, missing]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with (
        socket.create_server(("localhost", int(present.split(":")[1]))),
        pytest.raises(distribution.WorkersMissingError) as stopped,
    ):
        distribution.strategy("multi_worker", wait=0.2)
    assert logged == [missing]
    assert str(stopped.value) == (
        "The other workers must start within 0.2 seconds. "
        f"Received: nothing from {missing}"
    )


@pytest.mark.tensorflow_only
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_waiting_worker_answers_at_both_kinds_of_addresses(host, monkeypatch):
    mine, missing = free_ports(2)
    cluster = {"worker": [f"{host}:{mine}", f"localhost:{missing}"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    reached = []

    def connect(*args):
        address = (host.strip("[]"), mine)
        socket.create_connection(address, timeout=1).close()
        reached.append(address)

    monkeypatch.setattr("absl.logging.warning", connect)
    with pytest.raises(distribution.WorkersMissingError):
        distribution.strategy("multi_worker", wait=0.2)
    assert reached


# The addresses of a cluster with a chief, in TensorFlow's order of its workers.
WITH_A_CHIEF = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("cluster", "task", "index", "number", "workers"),
    [
        (WITH_A_CHIEF, "chief", 0, 0, 3),
        (WITH_A_CHIEF, "worker", 0, 1, 3),
        (WITH_A_CHIEF, "worker", 1, 2, 3),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, 1, 2),
        ({"chief": ["a:1"]}, "chief", 0, 0, 1),
        ({}, "worker", 0, 0, 1),
    ],
)
def test_counts_the_chief_as_the_first_worker(
    cluster, task, index, number, workers, monkeypatch
):
    task = {"type": task, "index": index}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    strategy = types.SimpleNamespace(cluster_resolver=resolver)
    assert distribution.worker(strategy) == (number, workers)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("me", ["chief", "worker"])
def test_a_chief_and_its_workers_wait_for_each_other(me, monkeypatch):
    mine, missing = (f"localhost:{port}" for port in free_ports(2))
    other = "worker" if me == "chief" else "chief"
    cluster = {me: [mine], other: [missing]}
    task = {"type": me, "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(distribution.WorkersMissingError, match=f"from {missing}$"):
        distribution.strategy("multi_worker", wait=0.2)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("task", ["ps", "evaluator", ""])
def test_refuses_tasks_that_do_not_train(task, monkeypatch):
    config = {"cluster": WITH_A_CHIEF, "task": {"type": task, "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    message = f"unless the task.*is a chief or a worker. Received: .*task of '{task}'$"
    with pytest.raises(ValueError, match=message):
        distribution.strategy("multi_worker", wait=0.2)


@pytest.mark.tensorflow_only
def test_a_configuration_without_a_cluster_names_no_workers(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert distribution.numbered_workers(resolver) == (0, [])


GATHERING = """
from keras_prelu import distribution
strategy = distribution.strategy("multi_worker")
number, workers = distribution.worker(strategy)
rows = distribution.gather(strategy, [10 + number])
print("worker", number, "of", workers, "gathered", rows.tolist(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_a_chief_and_a_worker_gather_in_the_order_of_their_numbers():
    printed = outputs(start_workers(["-c", GATHERING], chief=True))
    for number, text in enumerate(printed):
        assert f"worker {number} of 2 gathered [[10.0], [11.0]]" in text, text


def test_gathers_texts_of_all_lengths(monkeypatch):
    rows = [b"seed 0", "größer".encode()]

    def gather(strategy, numbers):
        padded = [row.ljust(len(numbers)) for row in rows]
        if len(numbers) == 1:
            padded = [[len(row)] for row in rows]
        return np.array([[*row] for row in padded], float)

    monkeypatch.setattr(distribution, "gather", gather)
    assert distribution.gather_texts(None, "seed 0") == ["seed 0", "größer"]


@several_devices
def test_two_models_train_in_one_process():
    """Two strategies over the same devices would mix up their reductions."""
    for units in (3, 5):
        two = distribution.strategy("mirrored")
        with two.scope():
            model = keras.Sequential(
                [keras.Input((units,)), keras.layers.Dense(4, activation="softmax")]
            )
            model.compile(SGD(0.1), loss="sparse_categorical_crossentropy")
            history = model.fit(np.ones((8, units)), np.zeros(8), epochs=5, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_warns_once_where_replicas_drop_the_same_units(monkeypatch):
    two = distribution.strategy("mirrored")
    keras_repairs._warn_that_replicas_drop_alike.cache_clear()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Under a plain")
        train(two, 8)
        monkeypatch.setattr(keras_repairs, "_repaired", weakref.WeakSet())
        train(distribution.strategy("one_device"), 8)
    with pytest.warns(UserWarning) as caught:
        train(two, 8)
        train(two, 8)
    about_dropout = [w for w in caught if "drops the same units" in str(w.message)]
    assert len(about_dropout) == 1
