"""Crops are compared with Pillow, which resizes the whole image and then crops."""

import importlib
import io

import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_prelu import data
from keras_prelu.data import random_draws
from keras_prelu.data.windows import canvas_side, crop_box, plan_window
from tests.data.conftest import encoded, wavy_image


def _decoder(module):
    decode = importlib.import_module(f"keras_prelu.data.{module}").decode_window
    return lambda file, window: np.asarray(decode(file, window))


@pytest.fixture(
    params=[pytest.param("tf_decoding", marks=pytest.mark.tensorflow_only), "decoding"]
)
def decode_window(request):
    """Return TensorFlow's function, then Pillow's."""
    return _decoder(request.param)


def _ours(decode_window, file, shorter_side, position, image_size):
    header = data.decoding.read_header(file)
    box = crop_box(header, shorter_side, position, image_size)
    window, box = plan_window(header, box, image_size)
    pixels = decode_window(file, window)
    canvas = np.zeros((1, *[canvas_side(image_size)] * 2, 3), np.uint8)
    rows, columns = pixels.shape[:2]
    canvas[0, :rows, :columns] = pixels
    drawn = {
        "pixels": canvas,
        "size": np.array([[rows, columns]]),
        "box": np.array([box], np.float32),
        "flip": np.array([False]),
        "shift": np.zeros((1, 3), np.float32),
    }
    return ops.convert_to_numpy(data.Augmentation(image_size)(drawn))[0], pixels.shape


def _pillows(file, shorter_side, position, image_size):
    with Image.open(io.BytesIO(file)) as image:
        ratio = shorter_side / min(image.size)
        size = [int(side * ratio + 0.5) for side in image.size]
        resized = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    left = int(position[1] * (size[0] - image_size + 1))
    top = int(position[0] * (size[1] - image_size + 1))
    return np.asarray(resized)[top : top + image_size, left : left + image_size]


# Height, width, shorter side after resizing, position of the crop; crops of 32 pixels.
CASES = [
    (75, 100, 64, (0.3, 0.8)),  # shrunk a little
    (75, 100, 96, (0.99, 0.0)),  # enlarged
    (60, 100, 32, (0.0, 0.5)),  # the whole height
    (60, 60, 60, (0.5, 0.5)),  # as it is
    (1, 1, 64, (0.5, 0.5)),
    (2, 3, 40, (0.9, 0.9)),
    (2000, 4, 48, (0.7, 0.4)),
    (4, 2000, 33, (0.0, 0.999)),
    (63, 91, 33, (0.999, 0.999)),
]


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
@pytest.mark.parametrize("height, width, side, position", CASES)
def test_crops_equal_pillows(height, width, side, position, fmt, decode_window):
    file = encoded(wavy_image(height, width), fmt)
    actual, _ = _ours(decode_window, file, side, position, 32)
    expected = _pillows(file, side, position, 32).astype(float)
    # One level for the decoder, and one for Pillow's rounding.
    np.testing.assert_allclose(actual, expected, atol=2.01)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
@pytest.mark.parametrize("reduction", [2, 4, 8, 16])
def test_large_windows_are_reduced_while_decoding(reduction, fmt, decode_window):
    rng = np.random.default_rng(0)
    # A decoder that only drops pixels would keep the noise.
    pixels = wavy_image(40 * reduction, 48 * reduction).astype(int)
    pixels += rng.integers(-5, 6, pixels.shape[:2])[..., None]
    file = encoded(np.clip(pixels, 0, 255).astype(np.uint8), fmt)
    actual, shape = _ours(decode_window, file, 36, (0.5, 0.6), 32)
    # The window spans 35.6 pixels of the reduced image, with margins at most 43.
    assert 36 <= shape[0] <= 43 and 36 <= shape[1] <= 43
    expected = _pillows(file, 36, (0.5, 0.6), 32).astype(float)
    # Averaging before resampling is not the same filter as one resampling. The
    # smallest mistake would be an offset of half a pixel.
    half_a_pixel = np.abs(np.diff(expected, axis=1)).mean() / 2
    assert np.abs(actual - expected).mean() < 0.45 * half_a_pixel
    bias = actual.mean((0, 1)) - expected.mean((0, 1))
    np.testing.assert_allclose(bias, 0, atol=0.5)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    "options", [*({"subsampling": n} for n in range(3)), {"progressive": True}]
)
def test_tensorflow_and_pillow_give_the_same_crops(options):
    """Noise shows every shift and every other way to reduce or to transform."""
    rng = np.random.default_rng(0)
    for number in range(15):
        height, width = rng.integers(40, 600, 2)
        noise = rng.normal(0, 25, (height, width, 3))
        pixels = np.clip(wavy_image(height, width, number) + noise, 0, 255)
        file = encoded(pixels.astype(np.uint8), **options)
        draw = random_draws.draw(0, 0, number, (32, 48))
        first, second = (
            _ours(_decoder(module), file, draw.shorter_side, draw.position, 32)[0]
            for module in ("tf_decoding", "decoding")
        )
        # Equal in every bit here. Two builds of libjpeg can differ by one level.
        np.testing.assert_allclose(first, second, atol=1.01)


def test_every_window_fits_into_the_canvas(decode_window):
    """For images of many sizes and any draw."""
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (20, 10_000), (31, 33), (64, 64), (127, 260), (700, 3)]
    sizes += [tuple(np.exp(rng.uniform(0, 7, 2)).astype(int) + 1) for _ in range(40)]
    for number, (height, width) in enumerate(sizes):
        file = encoded(np.zeros((height, width, 3), np.uint8))
        header = data.decoding.read_header(file)
        drawn = random_draws.draw(0, 0, number, (16, 40))
        box = crop_box(header, drawn.shorter_side, drawn.position, 16)
        window, (top, left, rows, columns) = plan_window(header, box, 16)
        pixels = decode_window(file, window)
        assert max(pixels.shape[:2]) <= canvas_side(16)
        assert min(top, left) >= 0
        assert top + rows <= pixels.shape[0] + 1e-9
        assert left + columns <= pixels.shape[1] + 1e-9
