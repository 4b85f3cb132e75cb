"""A run is not resumed with other data."""

import pytest

from keras_prelu import data
from keras_prelu.callbacks import CheckpointError
from keras_prelu.data.fingerprints import differences
from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.options import Options
from tests.finetuning.small_tuning import (
    bright_and_dark,
    image_batches,
    small_net,
    tune,
    write_textures,
)


def fingerprint(train, validation):
    names = None if isinstance(train, data.Source) else ["dark", "bright"]
    options = Options(class_names=names)
    return datasets.prepare(train, validation, options, small_net()).fingerprint()


def test_other_data_or_settings_are_not_resumed(tmp_path):
    tune(directory=tmp_path, head_epochs=1, epochs=1)
    images, labels = bright_and_dark()
    again = {"directory": tmp_path, "head_epochs": 1, "epochs": 2}
    with pytest.raises(CheckpointError, match=r"data\.train\.labels: .* before"):
        tune(train=(images, 1 - labels), **again)
    with pytest.raises(CheckpointError, match=r"data\.validation\.shape: .*8.*, .*7"):
        tune(validation=bright_and_dark(7, seed=1), **again)
    with pytest.raises(CheckpointError, match="settings.seed: 0 before, 1 now"):
        tune(seed=1, **again)
    assert tune(**again).history["epoch"] == [1, 2]


@pytest.mark.parametrize("argument", ["train", "validation"])
@pytest.mark.parametrize("name", ["images", "labels", "dtype", "shape"])
def test_arrays_are_told_apart_by_their_values(argument, name):
    given = {"train": bright_and_dark(), "validation": bright_and_dark(8, seed=1)}
    plain = fingerprint(**given)
    assert fingerprint(**given) == plain
    images, labels = given[argument]
    one_pixel = images.copy()
    one_pixel[-1, -1, -1, -1] += 1
    given[argument] = {
        "images": (one_pixel, labels),
        "labels": (images, 1 - labels),
        "dtype": (images.astype("float64"), labels),
        "shape": (images[:, :16], labels),
    }[name]
    changed = differences(plain, fingerprint(**given))
    assert f"{argument}.{name}" in [line.split(":")[0] for line in changed]
    assert all(line.startswith(f"{argument}.") for line in changed)


def test_sources_are_told_apart_by_the_names_of_their_files(tmp_path):
    write_textures(tmp_path / "train", 2, seed=0)
    write_textures(tmp_path / "validation", 2, seed=1)
    train, validation = (
        data.from_directory(tmp_path / name) for name in ("train", "validation")
    )
    plain = fingerprint(train, validation)
    (tmp_path / "validation/noise/1.png").rename(tmp_path / "validation/noise/2.png")
    renamed = data.from_directory(tmp_path / "validation")
    [changed] = differences(plain, fingerprint(train, renamed))
    assert changed.startswith("validation.files.noise: 2 files, names ")


@pytest.mark.tensorflow_only
def test_data_sets_are_told_apart_by_their_sizes():
    plain = fingerprint(image_batches(), image_batches(8))
    assert fingerprint(image_batches(), image_batches(8)) == plain
    # A data set may shuffle its images, and alter them, in each epoch.
    assert fingerprint(image_batches(seed=1).shuffle(3), image_batches(8)) == plain
    for others in (
        (image_batches(23), image_batches(8)),
        (image_batches(), image_batches(7)),
        (image_batches(), image_batches(8).unbatch().batch(4)),
        (image_batches(), image_batches(8).map(lambda x, y: (x[:, :9], y))),
    ):
        assert fingerprint(*others) != plain
