"""One small net and its exports, for all tests of this folder."""

import keras
import pytest

from keras_prelu import export
from keras_prelu.layers import PReLU, SpatialPyramidPooling, SubtractMean

NAMES = [f"kind {i}" for i in range(7)]


def build(*size, classes=7):
    """Build a net of the same kinds of layers as `keras_prelu.applications`."""
    x = images = keras.Input((*size, 3))
    for layer in (
        SubtractMean(),
        keras.layers.Conv2D(6, 5, strides=2, padding="same"),
        PReLU(),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(8, 3, padding="same"),
        PReLU(alpha_initializer=-0.5),
        SpatialPyramidPooling((3, 1)),
        keras.layers.Dense(16),
        PReLU(shared=True),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(classes, kernel_initializer="random_normal"),
        keras.layers.Activation("softmax"),
    ):
        x = layer(x)
    return keras.Model(images, x)


@pytest.fixture(scope="package")
def net():
    keras.utils.set_random_seed(0)
    return build(32, 32)


@pytest.fixture(scope="package")
def versions(net, tmp_path_factory):
    """Export two versions: 1 raises errors; 2 marks rows and has `dense`."""
    folder = tmp_path_factory.mktemp("served") / "net"
    options = {"class_names": NAMES, "scale": 40}
    export.saved_model(net, folder, top_k=3, card={"licence": "MIT"}, **options)
    export.saved_model(net, folder, dense_scales=(40, 52), on_error="mark", **options)
    return folder
