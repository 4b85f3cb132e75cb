"""SGD compared with Caffe's solver in NumPy, and with Keras's decoupled decay."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu.optimizers import SGD

RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.05


def caffe_steps(data, gradients, decay):
    """Run Caffe's SGDSolver: Regularize, ComputeUpdateValue, Update."""
    data, history = data.astype("float64"), 0.0
    for diff in gradients:
        diff = diff + decay * data
        history = RATE * diff + MOMENTUM * history
        data = data - history
    return data


def variable(value, name):
    return keras.Variable(value, name=name, dtype="float32")


def apply_all(optimizer, variables, gradients):
    for step in gradients:
        step = [ops.convert_to_tensor(g) for g in step]
        if keras.backend.backend() == "jax":  # as Keras's trainer does
            apply_stateless(optimizer, variables, step)
        else:
            optimizer.apply(step, variables)


def apply_stateless(optimizer, variables, gradients):
    if not optimizer.built:
        optimizer.build(variables)
    state = [v.value for v in optimizer.variables]
    values, state = optimizer.stateless_apply(
        state, gradients, [v.value for v in variables]
    )
    for old, new in zip(variables + optimizer.variables, values + state, strict=True):
        old.assign(new)


@pytest.fixture
def draws():
    rng = np.random.default_rng(3)
    start = rng.normal(size=(3, 4)).astype("float32")
    return start, rng.normal(size=(6, 3, 4)).astype("float32")


def test_every_step_matches_caffe(draws):
    start, gradients = draws
    kernel = variable(start, "kernel")
    optimizer = SGD(RATE, MOMENTUM, DECAY)
    for step in range(1, len(gradients) + 1):
        apply_all(optimizer, [kernel], gradients[step - 1 : step, None])
        expected = caffe_steps(start, gradients[:step], DECAY)
        np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)


def test_differs_from_keras_decoupled_decay(draws):
    start, gradients = draws
    ours, theirs = variable(start, "kernel"), variable(start, "kernel")
    apply_all(SGD(RATE, MOMENTUM, DECAY), [ours], gradients[:, None])
    keras_sgd = keras.optimizers.SGD(RATE, MOMENTUM, weight_decay=DECAY)
    apply_all(keras_sgd, [theirs], gradients[:, None])
    assert np.abs(ours.numpy() - theirs.numpy()).max() > 1e-2


@pytest.mark.parametrize("name", ["alpha", "bias", "gamma", "beta"])
def test_only_kernels_decay(draws, name):
    start, gradients = draws
    kernel, other = variable(start, "depthwise_kernel"), variable(start, name)
    pairs = np.stack([gradients, gradients], axis=1)
    apply_all(SGD(RATE, MOMENTUM, DECAY), [kernel, other], pairs)
    expected = caffe_steps(start, gradients, DECAY)
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)
    expected = caffe_steps(start, gradients, 0.0)
    np.testing.assert_allclose(other.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("by", ["var_list", "var_names"])
def test_excluded_kernels_do_not_decay(draws, by):
    start, gradients = draws
    kernel, excluded = variable(start, "kernel"), variable(start, "frozen_kernel")
    optimizer = SGD(RATE, MOMENTUM, DECAY)
    exclusions = {"var_list": [excluded], "var_names": ["frozen"]}
    optimizer.exclude_from_weight_decay(**{by: exclusions[by]})
    apply_all(optimizer, [kernel, excluded], np.stack([gradients] * 2, axis=1))
    expected = caffe_steps(start, gradients, DECAY)
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)
    expected = caffe_steps(start, gradients, 0.0)
    np.testing.assert_allclose(excluded.numpy(), expected, rtol=0, atol=2e-6)


def test_zero_gradients_leave_slopes_unchanged(draws):
    start, gradients = draws
    alpha, kernel = variable(start, "alpha"), variable(start, "kernel")
    zeros = np.zeros((5, 2, *start.shape), "float32")
    apply_all(SGD(RATE, MOMENTUM, DECAY), [alpha, kernel], zeros)
    assert alpha.numpy().tobytes() == start.tobytes()
    assert kernel.numpy().tobytes() != start.tobytes()


def test_decays_once_per_accumulated_gradient(draws):
    start, gradients = draws
    kernel = variable(start, "kernel")
    optimizer = SGD(RATE, MOMENTUM, DECAY, gradient_accumulation_steps=2)
    apply_all(optimizer, [kernel], gradients[:, None])
    means = gradients.reshape(3, 2, *start.shape).mean(axis=1)
    expected = caffe_steps(start, means, DECAY)
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)


def test_clips_gradients_before_the_decay_is_added(draws):
    start, gradients = draws
    kernel = variable(start, "kernel")
    optimizer = SGD(RATE, MOMENTUM, DECAY, clipvalue=0.1)
    apply_all(optimizer, [kernel], gradients[:, None])
    expected = caffe_steps(start, np.clip(gradients, -0.1, 0.1), DECAY)
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)


def test_loss_scaling_does_not_change_the_steps(draws):
    start, gradients = draws
    kernel = variable(start, "kernel")
    inner = SGD(RATE, MOMENTUM, DECAY)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    overflow = np.full_like(start, np.inf)
    apply_all(optimizer, [kernel], gradients[:2, None] * 8)
    apply_all(optimizer, [kernel], overflow[None, None])  # skipped; halves the scale
    apply_all(optimizer, [kernel], gradients[2:, None] * 4)
    expected = caffe_steps(start, gradients, DECAY)
    np.testing.assert_allclose(kernel.numpy(), expected, rtol=0, atol=2e-6)


def tiny_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.PReLU(shared_axes=[1, 2]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fit_in_half_precision_updates_every_weight_and_stays_finite(dtype):
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    model = tiny_model()
    before = [w.numpy() for w in model.trainable_variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGD(), loss=loss)
    is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (dtype == "float16")
    images = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
    fitted = model.fit(images, np.arange(16) % 3, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(fitted.history["loss"]).all()
    for old, weight in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(weight.numpy()).all(), weight.path
        assert np.abs(weight.numpy() - old).max() > 0, weight.path


def test_config_and_saved_models_round_trip(tmp_path):
    optimizer = SGD(0.02, 0.8, 0.003, gradient_accumulation_steps=2)
    config = keras.optimizers.serialize(optimizer)
    clone = keras.optimizers.deserialize(config)
    assert type(clone) is SGD
    assert clone.get_config() == optimizer.get_config()

    model = tiny_model()
    model.compile(SGD(0.02, weight_decay=0.003), loss="mse")
    model.fit(np.ones((4, 8, 8, 3)), np.ones((4, 3)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is SGD
    assert loaded.optimizer.weight_decay == 0.003
    for ours, theirs in zip(
        model.optimizer.variables, loaded.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.tensorflow_only
def test_overrides_methods_that_keras_still_calls():
    called = []
    overridden = ("_clip_gradients", "_all_reduce_sum_gradients", "_apply_weight_decay")

    def recording(name):
        def method(self, argument):
            called.append(name)
            return getattr(SGD, name)(self, argument)

        return method

    methods = {name: recording(name) for name in overridden}
    optimizer = type("RecordingSGD", (SGD,), methods)()
    kernel = variable(np.ones((3, 4)), "kernel")
    apply_all(optimizer, [kernel], np.ones((1, 1, 3, 4), "float32"))
    # The inherited methods must exist too: two of ours call them.
    assert all(hasattr(keras.optimizers.SGD, name) for name in overridden)
    assert sorted(called) == sorted(overridden)


@pytest.mark.parametrize("weight_decay", [-0.1, None, "much", float("nan")])
def test_wrong_decay_raises_an_error(weight_decay):
    with pytest.raises(ValueError, match=r"`weight_decay`.*Received: weight_decay="):
        SGD(weight_decay=weight_decay)
