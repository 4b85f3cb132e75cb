"""The augmentation inside the training step: replicas, tracing and graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_prelu import data, distribution

pytestmark = pytest.mark.tensorflow_only

SMALL = {"image_size": 32, "scale": (32, 48)}


def _model(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 128, -1),
            keras.layers.Conv2D(4, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def _compiled(model):
    training_model = data.augmented(model, 32)
    training_model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return training_model


def _two_replicas():
    return distribution.strategy("mirrored")


def _fitted_weights(source, strategy=None):
    with strategy.scope() if strategy else tf.init_scope():
        model = _model()
        training_model = _compiled(model)
    batches = data.train_batches(source, 8, **SMALL)
    training_model.fit(batches, epochs=2, steps_per_epoch=3, verbose=0)
    return model.get_weights()


def test_two_replicas_train_as_one(folder):
    source = data.from_directory(folder)
    start = _model().get_weights()
    alone = _fitted_weights(source)
    mirrored = _fitted_weights(source, _two_replicas())
    for before, one, two in zip(start, alone, mirrored, strict=True):
        # Wrong images would change the step by as much as its own size.
        np.testing.assert_allclose(two, one, atol=0.01 * np.abs(one - before).max())


def test_each_replica_augments_its_own_part_on_its_device(folder):
    source = data.from_directory(folder)
    strategy = _two_replicas()
    batches = data.train_batches(source, 8, **SMALL)
    augmentation = data.Augmentation(32)

    @tf.function
    def augment(x):
        return strategy.run(augmentation, [x])

    x, _ = next(iter(strategy.experimental_distribute_dataset(batches)))
    parts = strategy.experimental_local_results(augment(x))
    assert [len(part) for part in parts] == [4, 4]
    whole = augmentation(next(iter(batches))[0])
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)
    products = [
        op.device[-5:]
        for op in augment.get_concrete_function(x).graph.get_operations()
        if "MatMul" in op.type
    ]
    assert sorted(products) == ["CPU:0", "CPU:0", "CPU:1", "CPU:1"]


@pytest.mark.parametrize("batch_size", [2, 4])
def test_evaluation_under_replicas_counts_every_image_once(folder, batch_size):
    """One replica gets more of the last batch than the other, or all of it."""
    source = data.from_directory(folder)
    plain = data.eval_batches(source, batch_size, image_size=32, scale=40)
    with _two_replicas().scope():
        training_model = _compiled(_model())
    loss, accuracy = training_model.evaluate(plain, verbose=0)
    logits = np.concatenate([training_model.model(x) for x, _ in plain])
    labels = np.concatenate([y for _, y in plain])
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).mean(), abs=1e-6)
    assert loss == pytest.approx(float(expected(labels, logits)), rel=1e-4)


def test_workers_of_an_input_context(folder):
    """With several workers, each one makes its own part of the batch."""
    source = data.from_directory(folder)
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=1)
    second = (context.input_pipeline_id, context.num_input_pipelines)
    (_, part), (_, whole) = (
        next(iter(data.train_batches(source, 8, shard=shard, **SMALL)))
        for shard in (second, (0, 1))
    )
    assert part.numpy().tolist() == whole.numpy()[4:].tolist()


def test_fit_with_plain_validation_data(folder):
    source = data.from_directory(folder)
    training_model = _compiled(_model())
    history = training_model.fit(
        data.train_batches(source, 8, **SMALL),
        steps_per_epoch=data.steps_per_epoch(source, 8),
        validation_data=data.eval_batches(source, 8, image_size=32, scale=40),
        verbose=0,
    )
    assert np.isfinite(history.history["val_loss"]).all()


def test_fit_on_plain_batches_from_the_host(folder):
    source = data.from_directory(folder)
    model = _model()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = data.train_batches(source, 8, augment_on="host", **SMALL)
    history = model.fit(batches, steps_per_epoch=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def _op_types(graph):
    for op in graph.get_operations():
        yield op.type
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            yield node.op


def test_the_device_part_has_no_loop_and_is_traced_once(folder):
    batches = data.train_batches(data.from_directory(folder), 8, **SMALL)
    training_model = data.augmented(_model(), 32)
    traces = []

    @tf.function
    def step(x):
        traces.append(1)
        return training_model(x, training=True)

    for x, _ in batches.take(10):
        step(x)
    assert len(traces) == 1
    ops = set(_op_types(step.get_concrete_function(x).graph))
    assert "BatchMatMulV2" in ops or "MatMul" in ops
    assert not {op for op in ops if "While" in op or "PyFunc" in op}


def test_batches_have_static_shapes(folder):
    spec, label = data.train_batches(
        data.from_directory(folder), 8, **SMALL
    ).element_spec
    shapes = {name: tuple(part.shape) for name, part in spec.items()}
    assert shapes == {
        "pixels": (8, 72, 72, 3),
        "size": (8, 2),
        "box": (8, 4),
        "flip": (8,),
        "shift": (8, 3),
    }
    assert tuple(label.shape) == (8,)
