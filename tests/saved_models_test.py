"""Saved models load in a new process that imports only the package."""

import subprocess
import sys

import numpy as np
import pytest

import keras_prelu

pytestmark = pytest.mark.tensorflow_only

LOAD = """
import pathlib, sys
import keras
import numpy as np
import keras_prelu

folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.keras")):
    model = keras.saving.load_model(path)
    images = np.load(folder / "images.npy")
    expected = np.load(path.with_suffix(".npy"))
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    print(path.stem, type(model.optimizer).__module__)
"""


@pytest.mark.slow
def test_saved_models_load_after_importing_only_the_package(tmp_path):
    net = keras_prelu.applications.Model14(
        width=1 / 64, classes=3, input_shape=(32, 32, 3)
    )
    augmented = keras_prelu.data.augmented(net, image_size=32)
    dense = keras_prelu.evaluation.dense_model(net)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    for name, model in (("net", net), ("augmented", augmented), ("dense", dense)):
        model.compile(
            keras_prelu.optimizers.SGD(),
            "sparse_categorical_crossentropy",
            metrics=[keras_prelu.metrics.TopKError(2)],
        )
        expected = model.predict(images, verbose=0)
        np.save(tmp_path / f"{name}.npy", expected)
        model.save(tmp_path / f"{name}.keras")
    result = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [
        *("augmented", "keras_prelu.optimizers"),
        *("dense", "keras_prelu.optimizers"),
        *("net", "keras_prelu.optimizers"),
    ]
