"""The reader without TensorFlow: the same batches as `tf.data`'s, as NumPy arrays."""

import itertools
import pathlib
import threading

import keras
import numpy as np
import pytest

from keras_prelu import data
from keras_prelu.data import readers
from tests.data.conftest import (
    SMALL,
    arrays,
    assert_equal_batches,
    broken_jpeg,
    encoded,
    wavy_image,
    with_bad_files,
    with_replacements,
)

BOTH = ("device", "host")
with_tensorflow = pytest.mark.skipif(
    not readers.has_tensorflow(), reason="compares with tf.data"
)


def _train(source, batch_size, **options):
    return data.train_batches(
        source, batch_size, reader="numpy", **{**SMALL, **options}
    )


def _evaluate(source, batch_size, **options):
    size = {"image_size": 32, "scale": 40, **options}
    return data.eval_batches(source, batch_size, reader="numpy", **size)


def _applied(x):
    """Return the crops of a batch, by Keras for the device or as they are."""
    if isinstance(x, dict):
        x = keras.ops.convert_to_numpy(data.Augmentation(SMALL["image_size"])(x))
    return x


@pytest.fixture
def varied(folder):
    """Add other formats and sizes, so that windows are reduced and enlarged."""
    for name, content in {
        "large.jpg": encoded(wavy_image(300, 410)),
        "huge.jpg": encoded(wavy_image(700, 900)),
        "gray.jpg": encoded(wavy_image(90, 75)[..., 0]),
        "progressive.jpg": encoded(wavy_image(150, 99), progressive=True),
        "full_chroma.jpg": encoded(wavy_image(150, 99), subsampling=0),
        "large.png": encoded(wavy_image(270, 300), "PNG"),
        "dot.png": encoded(wavy_image(1, 1), "PNG"),
    }.items():
        (folder / "bee" / name).write_bytes(content)
    return data.from_directory(folder)


@with_tensorflow
@pytest.mark.parametrize("augment_on", BOTH)
def test_training_batches_are_those_of_tf_data(varied, augment_on):
    options = {"seed": 3, "augment_on": augment_on, **SMALL}
    with_tf = arrays(data.train_batches(varied, 7, reader="tf.data", **options), 13)
    ours = arrays(_train(varied, 7, **options), 13)
    for (x, labels), (expected, expected_labels) in zip(ours, with_tf, strict=True):
        np.testing.assert_array_equal(labels, expected_labels)
        assert labels.dtype == expected_labels.dtype
        if augment_on == "device":
            assert x.keys() == expected.keys()
            for name in x:
                assert x[name].dtype == expected[name].dtype
                if name != "pixels":
                    np.testing.assert_array_equal(x[name], expected[name])
        # Two builds of libjpeg can differ by one level. TensorFlow's faster transform
        # differs by up to four, and an offset of half a pixel by more.
        np.testing.assert_allclose(_applied(x), _applied(expected), atol=1.01)


@pytest.mark.parametrize("augment_on", BOTH)
def test_a_run_starts_at_any_step(folder, augment_on):
    source = data.from_directory(folder)
    options = {"augment_on": augment_on, "seed": 7}
    batches = _train(source, 5, **options)
    whole = arrays(batches, 12)  # 2.6 epochs
    assert_equal_batches(whole, arrays(batches, 12))  # each iteration begins anew
    for start in (1, 7, 11):
        resumed = _train(source, 5, start_step=start, **options)
        assert_equal_batches(whole[start:], arrays(resumed, 12 - start))


def test_workers_share_each_global_batch(folder, workers=3):
    source = data.from_directory(folder)
    whole = arrays(_train(source, 7), 4)
    parts = [arrays(_train(source, 7, shard=(w, workers)), 4) for w in range(workers)]
    joined = [
        keras.tree.map_structure(lambda *parts: np.concatenate(parts), *step)
        for step in zip(*parts, strict=True)
    ]
    assert_equal_batches(whole, joined)


def test_a_batch_that_is_kept_does_not_change(folder):
    batches = iter(_train(data.from_directory(folder), 4))
    kept, labels = next(batches)
    before = {name: array.copy() for name, array in kept.items()}
    for _ in range(6):
        next(batches)
    assert_equal_batches([(before, labels)], [(kept, labels)])


def test_the_next_good_image_replaces_a_bad_one(folder):
    expected = arrays(_train(with_replacements(folder), 6), 8)
    source = with_bad_files(folder)
    assert_equal_batches(arrays(_train(source, 6), 8), expected)
    assert set(source.skipped) == {source.paths[i] for i in (3, 4, 10)}
    fresh = data.from_directory(folder, max_bad=3)
    assert_equal_batches(arrays(_train(fresh, 6, start_step=5), 3), expected[5:])


def test_a_bad_file_is_not_read_again(folder, monkeypatch):
    source = with_bad_files(folder)
    batches = iter(_train(source, 23))
    next(batches)
    read, original = set(), source.read
    monkeypatch.setattr(source, "read", lambda i: read.add(i) or original(i))
    for _ in range(3):
        next(batches)
    assert read == set(range(23)) - {3, 4, 10}


@pytest.mark.parametrize("make", [_train, _evaluate])
def test_errors_are_raised_unchanged(folder, make):
    with_bad_files(folder)
    source = data.from_directory(folder, max_bad=2)
    for _ in range(2):  # the second as a user might try again
        with pytest.raises(data.TooManyBadImagesError, match="`max_bad` allows 2 of"):
            arrays(make(source, 6), 8)
    source = data.from_directory(folder, max_bad=3)
    pathlib.Path(source.paths[8]).unlink()
    with pytest.raises(data.UnreadableImageError, match="bee/01.jpg cannot"):
        arrays(make(source, 6), 8)


@with_tensorflow
@pytest.mark.parametrize("image_size", [32, None])
def test_evaluation_batches_are_those_of_tf_data(varied, image_size):
    path = pathlib.Path(varied.paths[3])
    path.write_bytes(broken_jpeg(path.read_bytes()))
    size = {"image_size": image_size, "scale": 40}
    expected = arrays(data.eval_batches(varied, 4, reader="tf.data", **size), -1)
    ours = arrays(_evaluate(varied, 4, **size), -1)
    assert_equal_batches(ours, expected)
    assert [y.dtype for _, y in ours] == [y.dtype for _, y in expected]
    assert sum(len(y) for _, y in ours) == len(varied) - 1


def test_workers_together_evaluate_every_image_once(folder):
    paths = sorted(folder.glob("*/*.jpg"))
    source = data.from_files(paths, range(len(paths)), [p.name for p in paths])
    batches = [_evaluate(source, 4, shard=(worker, 3)) for worker in range(3)]
    labels = [y.tolist() for _, y in itertools.chain(*batches)]
    assert sorted(itertools.chain(*labels)) == list(range(23))


def _threads():
    return [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_an_iterator_that_is_dropped_leaves_no_thread(folder):
    before = len(_threads())
    batches = iter(_train(data.from_directory(folder), 4))
    next(batches)
    assert len(_threads()) > before
    del batches
    assert len(_threads()) == before


def test_mapped_batches(folder):
    batches = _evaluate(data.from_directory(folder), 6)
    mapped = batches.map(lambda x, y: (x, y, 2.0 * y))
    assert_equal_batches([(x, y, 2.0 * y) for x, y in batches], list(mapped))
    assert len(list(mapped)) == 4


def test_an_unknown_reader_is_refused(folder):
    source = data.from_directory(folder)
    with pytest.raises(ValueError, match="`reader` must be .* Received: reader='tf'"):
        data.train_batches(source, 4, reader="tf", **SMALL)


def _model():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 128, -1),
            keras.layers.Conv2D(4, 3, strides=4, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def _compiled(model):
    sgd = keras.optimizers.SGD(0.01)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
@pytest.mark.parametrize("augment_on", BOTH)
def test_fit_takes_the_batches_in_order(folder, augment_on):
    """Several epochs see the batches that a loop sees, and validation every image."""
    path = folder / "ant" / "00.jpg"
    path.write_bytes(broken_jpeg(path.read_bytes()))
    source = data.from_directory(folder)
    batches = _train(source, 6, augment_on=augment_on)
    validation = _evaluate(source, 8)
    fitted, looped = _model(), _model()
    looped.set_weights(fitted.get_weights())

    trained = _compiled(data.augmented(fitted, 32))
    history = trained.fit(
        batches,
        epochs=3,
        steps_per_epoch=4,
        validation_data=validation,
        verbose=0,
    ).history
    by_hand = _compiled(data.augmented(looped, 32))
    for batch in arrays(batches, 12):
        by_hand.train_on_batch(*batch)
    for ours, expected in zip(fitted.get_weights(), looped.get_weights(), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)

    x, y = (np.concatenate(part) for part in zip(*validation, strict=True))
    assert len(x) == 22
    scores = fitted.predict(x, verbose=0)
    loss = -np.log(scores[np.arange(22), y]).mean()
    accuracy = (scores.argmax(1) == y).mean()
    assert history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)


@pytest.mark.tensorflow_only
def test_fit_on_tensorflow_names_the_reader_to_use(folder):
    model = _compiled(_model())
    batches = _train(data.from_directory(folder), 6, augment_on="host")
    with pytest.raises(ValueError, match='must be "tf.data" where Keras runs on'):
        model.fit(batches, steps_per_epoch=1, verbose=0)
