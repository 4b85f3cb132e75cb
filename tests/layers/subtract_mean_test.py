"""SubtractMean compared with NumPy, and its resized mean with Pillow."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.testing import TestCase
from PIL import Image

from keras_prelu.layers import IMAGENET_MEAN, SubtractMean


def numpy_of(x):
    return ops.convert_to_numpy(x)


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def test_subtracts_imagenets_mean_from_integers_and_floats():
    images = random_images(2, 5, 4, 3)
    layer = SubtractMean()
    expected = images - np.array(IMAGENET_MEAN, "float32")
    np.testing.assert_allclose(numpy_of(layer(images)), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        numpy_of(layer(images)), numpy_of(layer(images.astype("float32")))
    )


def test_subtracts_from_channels_first_images():
    images = random_images(2, 5, 4, 3)
    layer = SubtractMean((1, 2, 3), data_format="channels_first")
    output = numpy_of(layer(images.transpose(0, 3, 1, 2)))
    expected = images - np.array((1, 2, 3), "float32")
    np.testing.assert_array_equal(output.transpose(0, 2, 3, 1), expected)


def test_half_precision_rounds_only_the_difference():
    images = np.full((1, 1, 1, 3), 124.7, "float32")
    output = SubtractMean(dtype="mixed_bfloat16")(images)
    exact = 124.7 - np.array(IMAGENET_MEAN)
    # bfloat16 has 8 bits of precision, so rounding the difference of 1.02 changes it
    # by at most 0.004. Rounding image and mean first could change it by 0.5.
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    np.testing.assert_allclose(
        numpy_of(ops.cast(output, "float32"))[0, 0, 0], exact, rtol=1 / 256
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_mean_image_is_resized_to_the_size_of_the_input(data_format):
    first = data_format == "channels_first"
    mean = np.random.default_rng(1).uniform(0, 255, (8, 6, 3)).astype("float32")
    inputs = keras.Input((3, None, None) if first else (None, None, 3))
    model = keras.Model(inputs, SubtractMean(mean, data_format)(inputs))
    for height, width in ((8, 6), (4, 3), (13, 9)):
        shape = (1, 3, height, width) if first else (1, height, width, 3)
        resized = -numpy_of(model(np.zeros(shape, "float32")))[0]
        resized = resized.transpose(1, 2, 0) if first else resized
        expected = [
            Image.fromarray(mean[..., c]).resize((width, height), Image.BILINEAR)
            for c in range(3)
        ]
        np.testing.assert_allclose(resized, np.stack(expected, -1), atol=0.01)


def test_adapt_reads_batches_once():
    images = random_images(10, 4, 3, 5)
    batches = iter([(images[:7], np.zeros(7)), (images[7:], np.zeros(3))])
    layer = SubtractMean()
    layer.adapt(batches)
    mean = -numpy_of(layer(np.zeros((1, 2, 2, 5), "float32")))[0, 0, 0]
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_adapt_computes_a_mean_image():
    images = random_images(10, 4, 3, 3)
    layer = SubtractMean()
    layer.adapt(images, per_pixel=True)
    mean = -numpy_of(layer(np.zeros((1, 4, 3, 3), "float32")))[0]
    np.testing.assert_allclose(mean, images.mean(axis=0), rtol=1e-6)


def test_adapt_weights_every_pixel_equally_for_images_of_two_sizes():
    small, large = random_images(2, 2, 2, 3), random_images(3, 5, 4, 3)
    layer = SubtractMean()
    layer.adapt([small, large])
    pixels = np.concatenate([small.reshape(-1, 3), large.reshape(-1, 3)])
    layer.build((None, 4, 4, 3))
    np.testing.assert_allclose(numpy_of(layer.mean), pixels.mean(0), rtol=1e-6)


def test_adapt_after_building_assigns_the_weight():
    layer = SubtractMean()
    layer.build((None, None, None, 3))
    layer.adapt(np.full((2, 4, 4, 3), 7, "uint8"))
    np.testing.assert_array_equal(numpy_of(layer.mean), [7, 7, 7])
    with pytest.raises(
        ValueError, match=r"`data` must have .* shape \(3,\).*Received: a mean of shape"
    ):
        layer.adapt(np.zeros((2, 4, 4, 3)), per_pixel=True)
    np.testing.assert_array_equal(numpy_of(layer.mean), [7, 7, 7])


@pytest.mark.tensorflow_only
def test_adapt_takes_a_tf_data_dataset():
    import tensorflow as tf

    images = random_images(10, 4, 3, 3)
    layer = SubtractMean()
    layer.adapt(tf.data.Dataset.from_tensor_slices(images).batch(4))
    layer.build((None, None, None, 3))
    np.testing.assert_allclose(numpy_of(layer.mean), images.mean((0, 1, 2)), rtol=1e-6)


def test_adapted_mean_is_saved(tmp_path):
    layer = SubtractMean()
    layer.adapt(random_images(3, 4, 4, 3), per_pixel=True)
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = random_images(1, 6, 7, 3)
    np.testing.assert_array_equal(numpy_of(loaded(images)), numpy_of(model(images)))


@pytest.mark.parametrize("mean", [(), 3.0, (1, np.nan, 2), np.zeros((2, 3))])
def test_wrong_means_raise_an_error(mean):
    with pytest.raises(ValueError, match="`mean`.*Received: mean="):
        SubtractMean(mean)


def test_images_without_three_channels_need_a_mean():
    ways_out = r"adapt\(data\).*`include_preprocessing=False`.*Received: input_shape="
    with pytest.raises(ValueError, match=ways_out):
        SubtractMean().build((None, 4, 4, 1))
    message = "must have 2 channels.*`include_preprocessing=False`.*4, 4, 3"
    with pytest.raises(ValueError, match=message):
        SubtractMean((1, 2)).build((None, 4, 4, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "Received: no images"),
        (3, "iterable of batches. Received: data=3"),
        (None, "iterable of batches. Received: data=None"),
        (np.zeros((4, 4, 3)), r"Received: a batch of shape \(4, 4, 3\)"),
        ([np.zeros((1, 4, 4, 3)), np.zeros((1, 5, 4, 3))], "of the same size"),
    ],
)
def test_adapt_raises_an_error_for_images_without_a_mean(data, message):
    with pytest.raises(ValueError, match=message):
        SubtractMean().adapt(data, per_pixel=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("per_pixel", [False, True])
def test_adapt_raises_an_error_for_a_mean_that_is_not_finite(value, per_pixel):
    images = np.ones((2, 4, 4, 3))
    images[1, 2, 3, 0] = value
    layer = SubtractMean((1, 2, 3))
    layer.build((None, 4, 4, 3))
    with pytest.raises(ValueError, match="`data` must hold finite .*Received: a mean"):
        layer.adapt([images[:1], images[1:]], per_pixel=per_pixel)
    np.testing.assert_array_equal(numpy_of(layer.mean), [1, 2, 3])
    assert layer.get_config()["mean"] == [1, 2, 3]


class KerasContract(TestCase):
    """Keras's checks for layers."""

    def test_contract(self):
        for mean in (None, (1.0, 2.0, 3.0), np.ones((2, 2, 3))):
            self.run_layer_test(
                SubtractMean,
                init_kwargs={"mean": mean},
                input_shape=(2, 5, 4, 3),
                expected_output_shape=(2, 5, 4, 3),
                expected_num_trainable_weights=0,
                expected_num_non_trainable_weights=1,
                supports_masking=False,
            )
