"""Small networks and images for the tests of fine-tuning, and a run that is quick."""

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import keras_prelu
from keras_prelu import data
from keras_prelu.finetuning import fine_tune


def small_net(dropout=0.0):
    """Return a network with all kinds of weights that compiles quickly.

    Its bins are small, so that slopes have a gradient: some maxima are negative.
    """
    x = images = keras.Input((32, 32, 3))
    x = keras_prelu.layers.SubtractMean(name="mean")(x)
    for name in ("1", "2"):
        x = keras.layers.Conv2D(4, 3, strides=2, name=f"conv{name}")(x)
        x = keras_prelu.layers.PReLU(name=f"prelu{name}")(x)
    x = keras_prelu.layers.SpatialPyramidPooling((4, 1), name="spp")(x)
    x = keras.layers.Dropout(dropout, name="drop")(x)
    x = keras.layers.Dense(10, name="fc")(x)
    return keras.Model(images, keras.layers.Activation("softmax", name="scores")(x))


def pooling_net(*shape, data_format="channels_last"):
    pooling = keras.layers.GlobalAveragePooling2D(data_format)
    return keras.Sequential([keras.Input(shape), pooling, keras.layers.Dense(2)])


def bright_and_dark(count=24, seed=0):
    """Return bright and dark images, which any network can learn to tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.uniform(0, 90, (count, 32, 32, 3)) + 150 * labels[:, None, None, None]
    return images.astype("float32"), labels


def noise():
    """Return images with random labels, so that the gradient is never zero."""
    rng = np.random.default_rng(2)
    images = rng.uniform(0, 255, (24, 32, 32, 3)).astype("float32")
    return images, rng.integers(0, 2, 24)


def image_batches(count=24, seed=0):
    """Return a `tf.data.Dataset` of batches of bright and dark images."""
    return tf.data.Dataset.from_tensor_slices(bright_and_dark(count, seed)).batch(8)


def write_textures(folder, count, seed):
    """Write images of three classes that are easy to tell apart."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:80, :100]
    for name in ("noise", "plain", "stripes"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = np.ones((80, 100, 3)) * rng.uniform(60, 200, 3)
            if name == "noise":
                image += rng.normal(0, 50, image.shape)
            if name == "stripes":
                angle, width = rng.uniform(0, np.pi), rng.uniform(2, 5)
                wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / width)
                image += 50 * np.sign(wave)[..., None]
            pixels = image.clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return data.from_directory(folder)


def tune(model=None, **arguments):
    """Fine-tune a small network in two epochs per stage, of three steps each."""
    return fine_tune(
        model or small_net(),
        **{
            "train": bright_and_dark(),
            "validation": bright_and_dark(8, seed=1),
            "class_names": ["dark", "bright"],
            "head_epochs": 2,
            "epochs": 4,
            "batch_size": 8,
            "verbose": False,
            **arguments,
        },
    )


class WeightsOfEpochs(keras.callbacks.Callback):
    """Keeps the weights of every layer at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(
            {
                w.path: w.numpy().copy()
                for w in self.model.weights
                if "seed" not in w.path
            }
        )
