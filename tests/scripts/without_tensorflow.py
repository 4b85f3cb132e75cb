"""Use the parts that work without TensorFlow in a process that cannot import it.

KERAS_BACKEND=jax python tests/scripts/without_tensorflow.py
"""

import io
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

from keras_prelu import (  # noqa: E402
    callbacks,
    data,
    detection,
    evaluation,
    finetuning,
)
from keras_prelu.layers import PReLU, SpatialPyramidPooling  # noqa: E402
from keras_prelu.metrics import TopKError  # noqa: E402
from keras_prelu.optimizers import SGD  # noqa: E402


def small_net():
    """Return a net for 32 x 32 images with every kind of layer that matters here."""
    x = images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 58)(x)
    x = PReLU(name="prelu")(keras.layers.Conv2D(4, 3, strides=2, padding="same")(x))
    x = SpatialPyramidPooling((2, 1))(x)
    x = keras.layers.Dense(8, activation="relu")(x)
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


def write_photos(folder, count=12):
    """Write JPEGs of two classes: cats are dark, dogs are bright."""
    images, labels = dark_and_bright(count)
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / ("cat", "dog")[label] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        large = Image.fromarray(pixels.astype("uint8")).resize((60, 50))
        large.save(path, quality=95)


def check_data(folder):
    source = data.from_directory(folder)
    train, validation = data.split(source, 0.25)
    assert (len(train), len(validation)) == (8, 4)
    assert validation.labels.tolist() == [0, 0, 1, 1]
    assert len(data.color_components(source).eigenvalues) == 3
    assert not data.check(source, verbose=False)
    batches = data.train_batches(train, 4, 32, (32, 48), start_step=1)
    first, later = (
        next(iter(data.train_batches(train, 4, 32, (32, 48), start_step=step)))
        for step in (0, 1)
    )
    again, labels = next(iter(batches))
    np.testing.assert_array_equal(again["pixels"], later[0]["pixels"])
    assert (first[0]["box"] != again["box"]).any() and labels.dtype == np.int32

    model = small_net()
    training_model = data.augmented(model, image_size=32)
    training_model.compile(SGD(0.01), "sparse_categorical_crossentropy")
    history = training_model.fit(
        batches,
        epochs=2,
        steps_per_epoch=3,
        validation_data=data.eval_batches(validation, 3, 32, 40),
        verbose=0,
    ).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()


def check_evaluation(folder):
    source = data.from_directory(folder)
    model = small_net()
    for protocol in ("center", "ten_view", "dense"):
        scores = evaluation.evaluate(model, source, protocol, (36,), verbose=0)
        assert scores.examples == len(source) and 0 <= scores.top1 <= 1
    x, y = next(iter(data.eval_batches(source, len(source), 32, 36)))
    center = evaluation.evaluate(model, source, scales=(36,), verbose=0)
    misses = model.predict(x, verbose=0).argmax(axis=1) != y
    np.testing.assert_allclose(center.top1, misses.mean())


class OneBox(data.AnnotatedSource):
    """Three images with one object each."""

    BOX = (8, 4, 40, 44)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        stream = io.BytesIO()
        Image.new("RGB", (64, 48), (60 * index, 90, 120)).save(stream, "PNG")
        return stream.getvalue(), data.Objects(
            np.array([self.BOX], "float32"), np.array([1]), np.array([False])
        )


def check_detection():
    detector = detection.fast_rcnn(small_net(), classes=2)
    source = OneBox(["cat", "dog"])
    proposals = [np.array([OneBox.BOX, (0, 0, 64, 48)], "float32")] * len(source)
    image = np.zeros((48, 64, 3), "uint8")
    [detections] = detection.detect(
        detector, [image], proposals[:1], score_threshold=0, shorter_side=96
    )
    assert set(detections.labels.tolist()) == {0, 1}
    assert np.isfinite(detections.boxes).all()
    evaluated = detection.evaluate(
        detector, source, proposals, shorter_side=96, verbose=0
    )
    assert 0 <= evaluated.mean_ap <= 1
    perfect = detection.Detections(
        np.array([OneBox.BOX], "float32"), np.array([1]), np.array([1.0])
    )
    objects = [source[index][1] for index in range(len(source))]
    metric = detection.evaluate_detections(
        [perfect] * len(source), objects, source.class_names
    )
    np.testing.assert_allclose(metric.mean_ap, 1)
    x, y = next(iter(detection.train_batches(source, proposals, shorter_side=96)))
    assert x["boxes"].shape == (2, 64, 4) and y["deltas"].shape == (2, 64, 5)


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


def check_fine_tuning_on_arrays(folder):
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
    kept = tune(directory=folder / "run")
    assert tune(directory=folder / "run").history == kept.history  # read, not trained


def check_fine_tuning_on_images(folder):
    train, validation = data.split(data.from_directory(folder), 0.25)
    tuned = finetuning.fine_tune(
        small_net(),
        train,
        validation,
        head_epochs=4,
        epochs=6,
        head_learning_rate=0.1,
        batch_size=4,
        class_weight="balanced",
        verbose=False,
    )
    assert tuned.class_names == ["cat", "dog"]
    assert tuned.history["loss"][-1] < tuned.history["loss"][0]


def check_what_needs_tensorflow():
    message = error_of(getattr, sys.modules["keras_prelu"].export, "saved_model")
    assert message == (
        "`keras_prelu.export.saved_model` needs TensorFlow, which is not installed: "
        "pip install tensorflow"
    ), message
    for name in ("from_tfds", "scenes", "shapes", "voc"):
        assert "pip install tensorflow" in error_of(getattr, data, name)


def main():
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        photos = folder / "photos"
        photos.mkdir()
        write_photos(photos)
        check_dense_model()
        check_data(photos)
        check_evaluation(photos)
        check_detection()
        check_callbacks(folder)
        check_fine_tuning_on_arrays(folder)
        check_fine_tuning_on_images(photos)
        check_what_needs_tensorflow()
    assert "tensorflow" not in sys.modules
    print(f"Everything works on {keras.backend.backend()} without TensorFlow.")


if __name__ == "__main__":
    main()
