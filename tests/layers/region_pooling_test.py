"""Region pooling compared with cropping the map, in NumPy and PyTorch."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_prelu.layers import RegionPooling, SpatialPyramidPooling

LEVELS = (7, 3, 2, 1)


def cells(start, stop, size, stride, offset):
    """Return the cells whose centers lie in [start, stop), else the nearest cell."""
    centers = offset + stride * np.arange(size)
    inside = np.flatnonzero((centers >= start) & (centers < stop))
    if len(inside):
        return inside[0], inside[-1] + 1
    nearest = int(
        np.clip(np.floor(((start + stop) / 2 - offset) / stride + 0.5), 0, size - 1)
    )
    return nearest, nearest + 1


def crop(maps, box, stride, offset):
    """Return the part of a map that belongs to a box."""
    top, bottom = cells(box[1], box[3], maps.shape[0], stride, offset)
    left, right = cells(box[0], box[2], maps.shape[1], stride, offset)
    return maps[top:bottom, left:right]


def reference(maps, boxes, stride=16, offset=8.0, levels=LEVELS):
    """Pool each region of channels-last maps bin by bin."""
    vectors = []
    for image, regions in zip(maps, boxes, strict=True):
        for box in regions:
            part = crop(image, box, stride, offset)
            height, width, _ = part.shape
            vectors.append(
                [
                    part[
                        i * height // n : -(-(i + 1) * height // n),
                        j * width // n : -(-(j + 1) * width // n),
                    ].max(axis=(0, 1))
                    for n in levels
                    for i in range(n)
                    for j in range(n)
                ]
            )
    return np.array(vectors).reshape(*boxes.shape[:2], -1)


def random_maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def random_boxes(batch, regions, height, width, seed=0):
    """Return boxes that may reach outside an image, or be smaller than a cell."""
    rng = np.random.default_rng(seed)
    size = np.array([width, height])
    starts = rng.uniform(-0.2, 1, (batch, regions, 2)) * size
    sides = rng.uniform(0.001, 1.2, (batch, regions, 2)) * size
    return np.concatenate([starts, starts + sides], axis=-1).astype("float32")


def pool(layer, maps, boxes):
    return ops.convert_to_numpy(layer(maps, boxes))


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    offset=st.sampled_from([8.0, 8.5, 6.5]),
    first=st.booleans(),
)
# JAX compiles every operation for every size.
@settings(
    max_examples=40 if keras.backend.backend() == "tensorflow" else 4, deadline=None
)
def test_matches_cropping_and_a_loop_over_bins(height, width, seed, offset, first):
    maps = random_maps(2, height, width, 3)
    boxes = random_boxes(2, 5, 16 * height, 16 * width, seed)
    data_format = "channels_first" if first else "channels_last"
    layer = RegionPooling(LEVELS, 16, data_format, offset)
    inputs = maps.transpose(0, 3, 1, 2) if first else maps
    pooled = pool(layer, inputs, boxes)
    np.testing.assert_array_equal(pooled, reference(maps, boxes, offset=offset))
    assert layer.compute_output_shape(inputs.shape, boxes.shape) == pooled.shape


def test_matches_adaptive_max_pooling_of_pytorch():
    torch = pytest.importorskip("torch")
    maps = random_maps(1, 20, 30, 4)
    boxes = random_boxes(1, 50, 320, 480)
    expected = []
    for box in boxes[0]:
        part = torch.tensor(crop(maps[0], box, 16, 8.0).transpose(2, 0, 1))
        bins = [
            torch.nn.functional.adaptive_max_pool2d(part, n).numpy() for n in LEVELS
        ]
        expected.append(
            np.concatenate([b.transpose(1, 2, 0).reshape(-1) for b in bins])
        )
    np.testing.assert_array_equal(pool(RegionPooling(), maps, boxes)[0], expected)


@pytest.mark.parametrize("size", [(14, 14), (9, 21), (1, 3)])
def test_the_whole_image_gives_spatial_pyramid_pooling(size):
    maps = random_maps(2, *size, 5)
    boxes = np.tile(np.float32([0, 0, 16 * size[1], 16 * size[0]]), (2, 1, 1))
    whole = ops.convert_to_numpy(SpatialPyramidPooling()(maps))
    np.testing.assert_array_equal(pool(RegionPooling(), maps, boxes)[:, 0], whole)


@pytest.mark.parametrize(
    ("box", "row", "column"),
    [
        ([16, 32, 32, 48], 2, 1),  # one cell
        ([18, 34, 20, 36], 2, 1),  # within a cell, without its center
        ([-90, -50, -10, -5], 0, 0),  # outside, at the top left
        ([500, 20, 600, 30], 1, 4),  # outside, at the right
        ([8, 8, 24, 24], 0, 0),  # from the center of a cell to the next center
    ],
)
def test_boxes_of_one_cell(box, row, column):
    maps = random_maps(1, 4, 5, 2)
    pooled = pool(RegionPooling((2,)), maps, np.float32([[box]]))
    np.testing.assert_array_equal(pooled[0, 0], np.tile(maps[0, row, column], 4))


@pytest.mark.parametrize("box", [[5, 0, 5, 9], [0, 9, 3, 8], [0, 0, np.nan, 4]])
def test_empty_boxes_are_refused(box):
    with pytest.raises(ValueError, match="`boxes` must be .*Received: the box"):
        RegionPooling()(random_maps(1, 4, 4, 1), np.float32([[[0, 0, 8, 8], box]]))


@pytest.mark.parametrize(
    ("maps", "boxes", "name"),
    [((4, 4, 1), (1, 2, 4), "maps"), ((1, 4, 4, 1), (2, 4), "boxes")],
)
def test_wrong_shapes_are_refused(maps, boxes, name):
    with pytest.raises(ValueError, match=f"`{name}` must have .*Received"):
        RegionPooling()(np.zeros(maps), np.zeros(boxes))


@pytest.mark.parametrize("stride", [0, -1, "16", True, float("nan"), float("inf")])
def test_a_wrong_stride_is_refused(stride):
    with pytest.raises(ValueError, match="`stride` must be.*Received: stride="):
        RegionPooling(stride=stride)


@pytest.mark.parametrize("offset", ["8", [8], True, float("nan"), float("inf")])
def test_a_wrong_offset_is_refused(offset):
    with pytest.raises(ValueError, match="`offset` must be.*Received: offset="):
        RegionPooling(offset=offset)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("jit_compile", [False, True])
def test_pools_maps_of_unknown_size_in_a_graph(jit_compile):
    import tensorflow as tf

    layer = RegionPooling()
    signature = [tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((None, None, 4))]
    function = tf.function(layer, input_signature=signature, jit_compile=jit_compile)
    for size in ((14, 14), (5, 70)):
        maps = random_maps(2, *size, 3)
        boxes = random_boxes(2, 9, 16 * size[0], 16 * size[1])
        np.testing.assert_array_equal(function(maps, boxes), reference(maps, boxes))


def gradients(maps, boxes, upstream):
    """Return the gradient of the pooled values, weighted by `upstream`."""
    layer = RegionPooling((3, 1))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        maps, boxes = tf.constant(maps), tf.constant(boxes)
        with tf.GradientTape() as tape:
            tape.watch([maps, boxes])
            total = ops.sum(layer(maps, boxes) * upstream)
        return tape.gradient(total, [maps, boxes], unconnected_gradients="zero")
    if backend == "jax":
        import jax

        return jax.grad(
            lambda maps, boxes: ops.sum(layer(maps, boxes) * upstream), argnums=(0, 1)
        )(maps, boxes)
    maps = ops.convert_to_tensor(maps).requires_grad_()
    boxes = ops.convert_to_tensor(boxes).requires_grad_()
    upstream = ops.convert_to_tensor(upstream)
    ops.sum(layer(maps, boxes) * upstream).backward()
    return maps.grad, ops.zeros_like(boxes) if boxes.grad is None else boxes.grad


def test_gradients_go_to_the_largest_cell_and_not_to_the_boxes():
    maps = random_maps(2, 9, 7, 2)
    boxes = random_boxes(2, 6, 144, 112)
    rng = np.random.default_rng(1)
    upstream = rng.normal(size=(2, 6, 10 * 2)).astype("float32")
    expected = np.zeros_like(maps)
    for image in range(2):
        for box, weights in zip(boxes[image], upstream[image], strict=True):
            top, bottom = cells(box[1], box[3], 9, 16, 8.0)
            left, right = cells(box[0], box[2], 7, 16, 8.0)
            grids = [(n, i, j) for n in (3, 1) for i in range(n) for j in range(n)]
            for (n, i, j), weight in zip(grids, weights.reshape(-1, 2), strict=True):
                rows = np.arange(top, bottom)[
                    i * (bottom - top) // n : -(-(i + 1) * (bottom - top) // n)
                ]
                columns = np.arange(left, right)[
                    j * (right - left) // n : -(-(j + 1) * (right - left) // n)
                ]
                for channel in range(2):
                    part = maps[image, :, :, channel][np.ix_(rows, columns)]
                    y, x = np.unravel_index(part.argmax(), part.shape)
                    expected[image, rows[y], columns[x], channel] += weight[channel]
    of_maps, of_boxes = gradients(maps, boxes, upstream)
    np.testing.assert_allclose(ops.convert_to_numpy(of_maps), expected, atol=1e-5)
    assert not ops.convert_to_numpy(of_boxes).any()


def test_boxes_keep_their_precision_under_a_half_precision_policy():
    """bfloat16 knows no number between 1000 and 1008."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    images = keras.Input((None, None, 2))
    regions = keras.Input((None, 4))
    maps = keras.layers.Conv2D(2, 1, kernel_initializer="ones", use_bias=False)(images)
    model = keras.Model([images, regions], RegionPooling((1,), stride=1)(maps, regions))
    values = np.zeros((1, 2, 1010, 2), "float32")
    values[:, :, 1003, 0] = 1
    boxes = np.float32([[[1003, 0, 1004, 2], [1004, 0, 1005, 2]]])
    pooled = ops.convert_to_numpy(ops.cast(model([values, boxes]), "float32"))
    assert pooled.tolist() == [[[1, 1], [0, 0]]]
    assert keras.backend.standardize_dtype(model.output.dtype) == "bfloat16"


def test_the_output_has_the_dtype_of_the_maps_under_every_policy():
    maps, boxes = keras.Input((4, 4, 2), dtype="float32"), keras.Input((None, 4))
    model = keras.Model(
        [maps, boxes], RegionPooling((1,), dtype="mixed_bfloat16")(maps, boxes)
    )
    pooled = model([random_maps(1, 4, 4, 2), np.float32([[[0, 0, 64, 64]]])])
    assert keras.backend.standardize_dtype(pooled.dtype) == model.output.dtype
    assert model.output.dtype == "float32"


@pytest.mark.parametrize("images", [0, 1, 2])
def test_no_regions_give_no_vectors(images):
    layer = RegionPooling((2, 1))
    boxes = np.zeros((images, 0, 4), "float32")
    assert layer(random_maps(images, 4, 6, 3), boxes).shape == (images, 0, 5 * 3)


def test_a_saved_model_is_the_same(tmp_path):
    images = keras.Input((None, None, 3))
    regions = keras.Input((None, 4))
    layer = RegionPooling((3, 1), stride=12, offset=6.5)
    model = keras.Model([images, regions], layer(images, regions))
    assert model.output.shape == (None, None, 10 * 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    maps, boxes = random_maps(2, 6, 9, 3), random_boxes(2, 3, 72, 108)
    expected = reference(maps, boxes, stride=12, offset=6.5, levels=(3, 1))
    pooled = ops.convert_to_numpy(loaded([maps, boxes]))
    np.testing.assert_array_equal(pooled, expected)
