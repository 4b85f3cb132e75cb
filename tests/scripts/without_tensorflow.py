"""Use the parts that work without TensorFlow in a process that cannot import it.

KERAS_BACKEND=jax python tests/scripts/without_tensorflow.py
"""

import pathlib
import sys
import tempfile


class Hiding:
    """A finder of modules that hides TensorFlow, as if it were not installed."""

    PACKAGES = ("tensorflow", "tensorflow_datasets")

    def __init__(self, finder):
        self._finder = finder

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.PACKAGES:
            return None
        return self._finder.find_spec(name, path, target)


sys.meta_path[:] = map(Hiding, sys.meta_path)

import keras  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from keras_prelu import callbacks, data, evaluation, finetuning  # noqa: E402
from keras_prelu.layers import PReLU, SpatialPyramidPooling  # noqa: E402
from keras_prelu.metrics import TopKError  # noqa: E402
from keras_prelu.optimizers import SGD  # noqa: E402


def small_net():
    """Return a net for 32 x 32 images with every kind of layer that matters here."""
    x = images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 58)(x)
    x = PReLU(name="prelu")(keras.layers.Conv2D(4, 3, strides=2, padding="same")(x))
    x = SpatialPyramidPooling((2, 1))(x)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))


def dark_and_bright(count):
    """Return images that are easy to classify, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.uniform(0, 90, (count, 32, 32, 3)) + 150 * labels[:, None, None, None]
    return images.astype("float32"), labels


def error_of(function, *arguments, **keywords):
    """Return the message of the error that a call raises."""
    try:
        function(*arguments, **keywords)
    except (ImportError, ValueError) as error:
        return str(error)
    raise RuntimeError(f"{function} raised nothing")


def check_dense_model():
    images, _ = dark_and_bright(2)
    net = small_net()
    scores = net.predict(images, verbose=0)
    maps = evaluation.dense_model(net, average=False)
    np.testing.assert_allclose(maps.predict(images, verbose=0)[:, 0, 0], scores, 1e-5)
    large = np.tile(images, (1, 2, 1, 1))
    windows = maps.predict(large, verbose=0)
    assert windows.shape == (2, 17, 1, 3)
    averaged = evaluation.dense_model(net).predict(large, verbose=0)
    np.testing.assert_allclose(averaged, windows.mean(axis=(1, 2)), 1e-5)


def check_data(folder):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for number in range(4):
            pixels = rng.integers(0, 256, (8, 8, 3), "uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    source = data.from_directory(folder)
    train, validation = data.split(source, 0.25)
    assert (len(train), len(validation)) == (6, 2)
    assert validation.labels.tolist() == [0, 1]
    assert len(data.color_components(source).eigenvalues) == 3
    training_model = data.augmented(small_net(), image_size=32)
    window = {
        "pixels": np.full((1, 40, 40, 3), 7, "uint8"),
        "size": np.array([[40, 40]]),
        "box": np.array([[0.0, 0, 40, 40]]),
        "flip": np.array([0]),
        "shift": np.array([[1.0, 0, 0]]),
    }
    crop = keras.ops.convert_to_numpy(training_model.augmentation(window))
    np.testing.assert_allclose(crop[0, 5, 5], [8, 7, 7], 1e-5)
    message = error_of(finetuning.fine_tune, small_net(), train, validation)
    assert "eval_batches` needs TensorFlow" in message, message


def check_callbacks(folder):
    images, labels = dark_and_bright(16)
    logs = callbacks.MetricsLog(folder / "metrics.csv"), callbacks.SlopesLog()
    progress = callbacks.Progress(batch_size=4, epochs=2, show=False)
    schedule = callbacks.PlateauSchedule("loss", patience=1, min_delta=1e6)
    net = small_net()
    net.compile(SGD(0.01), "sparse_categorical_crossentropy", metrics=[TopKError(1)])
    net.fit(
        images,
        labels,
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[*logs, progress, schedule],
    )
    rates = [row["learning_rate"] for row in logs[0].rows]
    np.testing.assert_allclose(rates, [0.01, 0.01])
    assert [row["layer"] for row in logs[1].rows] == ["prelu", "prelu"]
    assert all(row["images_per_second"] > 0 for row in progress.rows)
    assert len((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()) == 3
    message = error_of(callbacks.TensorBoardLog, folder)
    assert "callbacks.TensorBoardLog` needs TensorFlow" in message, message


def check_fine_tuning():
    def tune(**arguments):
        return finetuning.fine_tune(
            small_net(),
            dark_and_bright(24),
            dark_and_bright(10),
            ["dark", "bright"],
            head_epochs=4,
            epochs=6,
            head_learning_rate=0.1,
            batch_size=8,
            verbose=False,
            **arguments,
        )

    tuned = tune(class_weight={0: 1, 1: 3})
    assert tuned.history["stage"] == ["head"] * 4 + ["all"] * 2
    images, labels = dark_and_bright(10)
    scores = tuned.model.predict(images, verbose=0)
    loss = -np.log(scores[np.arange(10), labels]).mean()
    error = (scores.argmax(axis=1) != labels).mean()
    reported = [tuned.history[name] for name in ("val_loss", "val_top1_error")]
    best = np.array(reported)[:, tuned.best_epoch - 1]
    np.testing.assert_allclose([loss, error], best, 1e-4)
    assert tuned.history["loss"][-1] < tuned.history["loss"][0]
    unweighted = tune()
    assert unweighted.history["loss"][0] != tuned.history["loss"][0]
    assert "TensorFlow, which exact resume needs" in error_of(tune, directory="run")


def check_what_needs_tensorflow():
    for package, names in (
        ("callbacks", ("ExactResume",)),
        ("data", ("train_batches", "eval_batches", "check")),
        ("evaluation", ("evaluate",)),
        ("export", ("saved_model",)),
    ):
        module = getattr(sys.modules["keras_prelu"], package)
        for name in names:
            message = error_of(getattr, module, name)
            assert message == (
                f"`keras_prelu.{package}.{name}` needs TensorFlow, which is not "
                "installed: pip install tensorflow"
            ), message
    for name in ("from_tfds", "scenes", "shapes", "voc"):
        assert "pip install tensorflow" in error_of(getattr, data, name)


def main():
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "photos").mkdir()
        check_dense_model()
        check_data(folder / "photos")
        check_callbacks(folder)
        check_fine_tuning()
        check_what_needs_tensorflow()
    assert "tensorflow" not in sys.modules
    print(f"Everything works on {keras.backend.backend()} without TensorFlow.")


if __name__ == "__main__":
    main()
