"""HeNormal: scale, tails, fans and seeds."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_prelu.initializers import HeNormal

# The standard error of a standard deviation is std / sqrt(2 n), or 0.16 % for these
# kernels of 200,000 values or more. The tolerance of 1 % is six standard errors. The
# nearest wrong answer, which ignores the slope of 0.25, is 3 % away.
TOLERANCE = 0.01


def std_of(kernel):
    return float(np.std(ops.convert_to_numpy(kernel)))


def expected(fan, slope=0.0):
    return np.sqrt(2 / ((1 + slope**2) * fan))


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 9 * 60), ("fan_out", 9 * 400)])
def test_scale_follows_eqns_10_14_and_15(mode, fan, slope):
    kernel = HeNormal(slope, mode, seed=1)((3, 3, 60, 400))
    assert std_of(kernel) == pytest.approx(expected(fan, slope), rel=TOLERANCE)
    assert float(ops.mean(kernel)) == pytest.approx(0, abs=5 * expected(fan) / 450)


def test_xavier_is_hes_rule_without_the_rectifier():
    layer = layers.Dense(400, kernel_initializer=HeNormal(1.0, "fan_out", 0))
    layer.build((None, 300))
    assert std_of(layer.kernel) == pytest.approx(1 / 20, rel=TOLERANCE)


def test_tails_are_not_truncated():
    kernel = ops.convert_to_numpy(HeNormal(seed=1)((1000, 500)))
    scaled = np.abs(kernel / expected(1000))
    # 4.55 % of a Gaussian's values are beyond two standard deviations and 0.27 % beyond
    # three. Keras's HeNormal is truncated at two.
    assert np.mean(scaled > 2) == pytest.approx(0.0455, rel=0.05)
    assert np.mean(scaled > 3) == pytest.approx(0.0027, rel=0.15)


KERNELS = [
    (layers.Dense(500), (None, 600), 600, 500),
    (layers.Conv1D(300, 5), (None, 20, 200), 5 * 200, 5 * 300),
    (layers.Conv2D(300, (3, 5)), (None, 9, 9, 60), 15 * 60, 15 * 300),
    (layers.Conv3D(100, 3), (None, 5, 5, 5, 100), 27 * 100, 27 * 100),
    (layers.Conv2D(400, 3, groups=4), (None, 9, 9, 400), 9 * 100, 9 * 100),
    (layers.Conv2D(800, 3, groups=4), (None, 9, 9, 160), 9 * 40, 9 * 200),
    (layers.Conv1DTranspose(300, 5), (None, 9, 150), 5 * 150, 5 * 300),
    (layers.Conv2DTranspose(300, 3), (None, 9, 9, 100), 9 * 100, 9 * 300),
    (layers.Conv3DTranspose(50, 3), (None, 5, 5, 5, 200), 27 * 200, 27 * 50),
    (layers.DepthwiseConv1D(25, depth_multiplier=4), (None, 30, 2500), 25, 100),
    (layers.DepthwiseConv2D(5, depth_multiplier=3), (None, 9, 9, 3000), 25, 75),
]


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in", "fan_out"),
    KERNELS,
    ids=[f"{layer.name}-{i}" for i, (layer, *_) in enumerate(KERNELS)],
)
def test_fans_are_right_for_every_kind_of_layer(layer, shape, fan_in, fan_out):
    depthwise = hasattr(layer, "depthwise_initializer")
    key = "depthwise_initializer" if depthwise else "kernel_initializer"
    for mode, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
        config = {**layer.get_config(), key: HeNormal(mode=mode, seed=1)}
        fresh = type(layer)(**config)
        fresh.build(shape)
        assert std_of(fresh.kernel) == pytest.approx(expected(fan), rel=TOLERANCE)


@pytest.mark.parametrize("one_instance", [True, False])
@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "depthwise_fan", "pointwise_fan"),
    [
        (layers.SeparableConv1D, (1000, 300), (None, 400, 800), 300, 800),
        (layers.SeparableConv2D, (1000, 20), (None, 30, 30, 600), 400, 600),
        # The depthwise kernel has the window of a pointwise one.
        (layers.SeparableConv2D, (5, 1), (None, 9, 9, 200_000), 1, 200_000),
    ],
)
def test_fans_are_right_for_both_kernels_of_separable_layers(
    kind, arguments, shape, depthwise_fan, pointwise_fan, one_instance
):
    depthwise = HeNormal(seed=1)
    pointwise = depthwise if one_instance else HeNormal(seed=2)
    layer = kind(
        *arguments,
        depthwise_initializer=depthwise,
        pointwise_initializer=pointwise,
    )
    layer.build(shape)
    std = std_of(layer.depthwise_kernel)
    assert std == pytest.approx(expected(depthwise_fan), rel=TOLERANCE)
    std = std_of(layer.pointwise_kernel)
    assert std == pytest.approx(expected(pointwise_fan), rel=TOLERANCE)


def kernels_of_two_layers(initializer):
    both = [layers.Dense(8, kernel_initializer=initializer) for _ in range(2)]
    for layer in both:
        layer.build((None, 8))
    return [ops.convert_to_numpy(layer.kernel) for layer in both]


@pytest.mark.parametrize("seed", [None, 3])
def test_one_instance_draws_different_kernels(seed):
    first, second = kernels_of_two_layers(HeNormal(seed=seed))
    assert not np.any(first == second)


def test_global_seed_reproduces_all_kernels():
    def draw(seed):
        keras.utils.set_random_seed(seed)
        return np.stack(kernels_of_two_layers(HeNormal()))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.any(draw(1) == draw(2))


def test_argument_seed_reproduces_all_kernels():
    again = kernels_of_two_layers(HeNormal(seed=5))
    np.testing.assert_array_equal(kernels_of_two_layers(HeNormal(seed=5)), again)


def test_config_round_trips():
    initializer = HeNormal(slope=0.25, mode="fan_out", seed=7)
    config = keras.initializers.serialize(initializer)
    clone = keras.initializers.deserialize(config)
    assert isinstance(clone, HeNormal)
    assert clone.get_config() == {"slope": 0.25, "mode": "fan_out", "seed": 7}
    np.testing.assert_array_equal(
        ops.convert_to_numpy(clone((4, 4))), ops.convert_to_numpy(initializer((4, 4)))
    )


def test_draws_the_requested_dtype():
    kernel = HeNormal(seed=1)((30, 40), dtype="bfloat16")
    assert keras.backend.standardize_dtype(kernel.dtype) == "bfloat16"
    assert HeNormal(seed=1)((3, 4)).shape == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"slope": "0.25"}, "slope"),
        ({"slope": float("nan")}, "slope"),
        ({"mode": "fan_avg"}, "mode"),
        ({"seed": 1.5}, "seed"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_raise_errors_that_name_them(arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        HeNormal(**arguments)


def test_vectors_raise_an_error():
    with pytest.raises(ValueError, match=r"`shape`.*Received: shape=\(3,\)"):
        HeNormal()((3,))


def variances_over_depth(initializer, slope):
    """Return mean squares of the responses and of the gradients after 30 layers."""
    rng = np.random.default_rng(0)
    widths = 400
    kernels = [ops.convert_to_numpy(initializer((widths, widths))) for _ in range(30)]
    x = rng.normal(size=(200, widths))
    signs, forward = [], []
    for kernel in kernels:
        y = x @ kernel
        forward.append(np.mean(y**2))
        signs.append(np.where(y > 0, 1, slope))
        x = y * signs[-1]
    g = rng.normal(size=(200, widths))
    backward = []
    for kernel, sign in zip(kernels[::-1], signs[::-1], strict=True):
        g = (g * sign) @ kernel.T
        backward.append(np.mean(g**2))
    return forward, backward


@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_variances_stay_the_same_over_30_layers(slope):
    # With Xavier's initialization, they would shrink by a factor of 2**29.
    forward, backward = variances_over_depth(HeNormal(slope, seed=2), slope)
    assert 0.4 < forward[-1] / forward[0] < 2.5
    assert 0.4 < backward[-1] / backward[0] < 2.5
