"""Spatial pyramid pooling compared with a loop and with PyTorch."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from keras.src.testing import TestCase

from keras_prelu.layers import SpatialPyramidPooling


def reference(maps, levels):
    """Pool channels-last maps bin by bin."""
    batch, height, width, _ = maps.shape
    bins = []
    for n in levels:
        for i in range(n):
            rows = slice(int(np.floor(i * height / n)), -int(-(i + 1) * height // n))
            for j in range(n):
                cols = slice(int(np.floor(j * width / n)), -int(-(j + 1) * width // n))
                bins.append(maps[:, rows, cols].max(axis=(1, 2)))
    return np.stack(bins, axis=1).reshape(batch, -1)


def random_maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@given(
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    levels=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    first=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_matches_a_loop_over_bins(height, width, levels, first):
    maps = random_maps(2, height, width, 3)
    data_format = "channels_first" if first else "channels_last"
    layer = SpatialPyramidPooling(levels, data_format=data_format)
    inputs = maps.transpose(0, 3, 1, 2) if first else maps
    pooled = ops.convert_to_numpy(layer(inputs))
    np.testing.assert_array_equal(pooled, reference(maps, levels))
    assert layer.compute_output_shape(inputs.shape) == pooled.shape


@pytest.mark.parametrize("size", [(14, 14), (10, 13), (3, 5), (1, 1)])
def test_matches_adaptive_max_pooling_of_pytorch(size):
    torch = pytest.importorskip("torch")
    maps = random_maps(2, *size, 4)
    expected = []
    for n in (7, 3, 2, 1):
        pooled = torch.nn.functional.adaptive_max_pool2d(
            torch.tensor(maps.transpose(0, 3, 1, 2)), n
        )
        expected.append(pooled.numpy().transpose(0, 2, 3, 1).reshape(2, -1))
    pooled = ops.convert_to_numpy(SpatialPyramidPooling()(maps))
    np.testing.assert_array_equal(pooled, np.concatenate(expected, axis=1))


def test_one_model_takes_every_size():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, SpatialPyramidPooling((6, 3))(inputs))
    for size in ((14, 14), (20, 9), (4, 2)):
        maps = random_maps(2, *size, 3)
        pooled = ops.convert_to_numpy(model(maps))
        np.testing.assert_array_equal(pooled, reference(maps, (6, 3)))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("jit_compile", [False, True])
def test_pools_maps_of_unknown_size_in_a_graph(jit_compile):
    import tensorflow as tf

    layer = SpatialPyramidPooling()
    signature = [tf.TensorSpec((None, None, None, 3))]
    pool = tf.function(layer, input_signature=signature, jit_compile=jit_compile)
    for size in ((14, 14), (5, 20)):
        maps = random_maps(2, *size, 3)
        np.testing.assert_array_equal(pool(maps), reference(maps, layer.levels))


@pytest.mark.parametrize("levels", [(), 3, (0,), (2, 1.5), "71"])
def test_wrong_levels_raise_an_error(levels):
    with pytest.raises(ValueError, match="`levels`.*Received: levels="):
        SpatialPyramidPooling(levels)


def test_unknown_channels_raise_an_error():
    with pytest.raises(ValueError, match="Received: input_shape="):
        SpatialPyramidPooling().compute_output_shape((None, 4, 4, None))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_integers_stay_integers(dtype):
    maps = np.arange(32).reshape((1, 4, 4, 2)).astype(dtype)
    inputs = keras.Input((4, 4, 2), dtype=dtype)
    model = keras.Model(inputs, SpatialPyramidPooling((2, 1))(inputs))
    pooled = model(maps)
    assert keras.backend.standardize_dtype(pooled.dtype) == dtype
    assert model.output.dtype == dtype
    np.testing.assert_array_equal(ops.convert_to_numpy(pooled), reference(maps, (2, 1)))


def test_the_output_has_the_compute_dtype_for_floats():
    inputs = keras.Input((4, 4, 2), dtype="float32")
    output = SpatialPyramidPooling((2, 1), dtype="mixed_bfloat16")(inputs)
    assert output.dtype == "bfloat16"


class KerasContract(TestCase):
    """Keras's checks for layers."""

    def test_contract(self):
        for data_format in ("channels_last", "channels_first"):
            self.run_layer_test(
                SpatialPyramidPooling,
                init_kwargs={"levels": (3, 2, 1), "data_format": data_format},
                input_shape=(2, 4, 4, 4),
                expected_output_shape=(2, 14 * 4),
                expected_num_trainable_weights=0,
                supports_masking=False,
            )
