import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_prelu.data import Augmentation, augmented
from tests.data.conftest import wavy_image


def _drawn(pixels, box, flip=False, shift=(0, 0, 0), side=None):
    """Return the input for one image, padded to a canvas."""
    height, width = pixels.shape[:2]
    side = side or max(height, width)
    canvas = np.full((1, side, side, 3), 255, np.uint8)  # padding that would be visible
    canvas[0, :height, :width] = pixels
    return {
        "pixels": canvas,
        "size": np.array([[height, width]], np.int32),
        "box": np.array([box], np.float32),
        "flip": np.array([flip]),
        "shift": np.array([shift], np.float32),
    }


def _applied(inputs, image_size):
    return ops.convert_to_numpy(Augmentation(image_size)(inputs))[0]


BOXES = [
    (0, 0, 50, 60),  # all of it, shrunk
    (3.3, 7.9, 31.4, 29.7),
    (10.25, 12.5, 16, 16),  # enlarged
    (18, 0.7, 32, 47),  # at two edges
    (49, 59, 1, 1),  # the last pixel
]


@pytest.mark.parametrize("box", BOXES)
def test_resampling_equals_pillows(box):
    pixels = wavy_image(50, 60)
    top, left, height, width = box
    expected = Image.fromarray(pixels).resize(
        (24, 24),
        Image.Resampling.BILINEAR,
        box=(left, top, left + width, top + height),
    )
    # Pillow rounds after each direction, by half a level. An offset of a tenth of a
    # pixel would differ by more.
    actual = _applied(_drawn(pixels, box, side=64), 24)
    np.testing.assert_allclose(actual, np.asarray(expected).astype(float), atol=1.01)


def test_without_scaling_it_is_a_crop():
    pixels = wavy_image(30, 40)
    crop = _applied(_drawn(pixels, (5, 9, 16, 16)), 16)
    np.testing.assert_allclose(crop, pixels[5:21, 9:25], atol=1e-3)


def test_flip_and_shift():
    pixels = wavy_image(30, 40)
    crop = _applied(_drawn(pixels, (5, 9, 16, 16), True, (10, -20, 0.5)), 16)
    expected = pixels[5:21, 9:25][:, ::-1] + np.array([10, -20, 0.5])
    np.testing.assert_allclose(crop, expected, atol=1e-3)


def test_each_image_of_a_batch_has_its_own_draws():
    drawn = [
        _drawn(wavy_image(30, 40, 1), (5, 9, 16, 16), True, (1, 2, 3), side=48),
        _drawn(wavy_image(40, 20, 2), (0, 0, 40, 20), False, (0, 0, 0), side=48),
    ]
    together = {name: np.concatenate([d[name] for d in drawn]) for name in drawn[0]}
    batch = ops.convert_to_numpy(Augmentation(16)(together))
    for alone, crop in zip(drawn, batch, strict=True):
        np.testing.assert_allclose(crop, _applied(alone, 16), atol=1e-3)


def test_output_stays_float32_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    pixels = wavy_image(30, 40)
    crop = _applied(_drawn(pixels, (5, 9, 16, 16)), 16)
    assert crop.dtype == np.float32
    np.testing.assert_allclose(crop, pixels[5:21, 9:25], atol=1e-3)


def test_symbolic_shape():
    inputs = {
        "pixels": keras.Input((48, 48, 3), dtype="uint8"),
        "size": keras.Input((2,), dtype="int32"),
        "box": keras.Input((4,)),
        "flip": keras.Input((), dtype="bool"),
        "shift": keras.Input((3,)),
    }
    assert Augmentation(16)(inputs).shape == (None, 16, 16, 3)


def _model():
    return keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


def test_wrapper_applies_what_was_drawn_and_shares_weights():
    model = _model()
    training_model = augmented(model, 16)
    drawn = _drawn(wavy_image(30, 40), (5, 9, 16, 16), True, (10, -20, 0.5))
    crop = Augmentation(16)(drawn)
    np.testing.assert_allclose(
        ops.convert_to_numpy(training_model(drawn)),
        ops.convert_to_numpy(model(crop)),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(  # plain images pass unchanged
        ops.convert_to_numpy(training_model(crop)), ops.convert_to_numpy(model(crop))
    )
    assert training_model.model is model
    assert [id(w) for w in training_model.trainable_weights] == [
        id(w) for w in model.trainable_weights
    ]


def test_wrapper_passes_training_on():
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Dropout(0.5)])
    crop = np.ones((1, 16, 16, 3), np.float32)
    training_model = augmented(model, 16)
    assert (ops.convert_to_numpy(training_model(crop, training=True)) == 0).any()
    assert (ops.convert_to_numpy(training_model(crop)) == 1).all()


def test_wrapper_can_be_saved_too(tmp_path):
    training_model = augmented(_model(), 16)
    drawn = _drawn(wavy_image(30, 40), (5, 9, 16, 16))
    expected = training_model(drawn)
    training_model.save(tmp_path / "wrapper.keras")
    loaded = keras.models.load_model(tmp_path / "wrapper.keras")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(drawn)), ops.convert_to_numpy(expected)
    )


def test_only_models_can_be_wrapped_and_only_once():
    with pytest.raises(ValueError, match="must be a Keras model. Received: model="):
        augmented(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="not augmented already"):
        augmented(augmented(_model(), 16), 16)


def test_crops_must_have_the_size_of_the_input():
    with pytest.raises(ValueError, match=r"Received: image_size=224, for .*16, 16, 3"):
        augmented(_model())
    for sides in ((None, None), (16, None)):
        model = keras.Sequential([keras.Input((*sides, 3)), keras.layers.ReLU()])
        assert augmented(model, 16).model is model
    model = keras.Sequential([keras.Input((16, 32, 3)), keras.layers.ReLU()])
    for size in (16, 32):
        with pytest.raises(ValueError, match=rf"image_size={size}, for .*16, 32, 3"):
            augmented(model, size)


def test_the_channels_must_be_last():
    pooling = keras.layers.GlobalAveragePooling2D("channels_first")
    model = keras.Sequential([keras.Input((3, 16, 16)), pooling])
    with pytest.raises(ValueError, match=r"`model` must .*channels last.*3, 16, 16"):
        augmented(model, 16)
