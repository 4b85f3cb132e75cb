"""Datasets that TFDS's own builders prepare from toy files."""

import hashlib
import io
import itertools

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from keras_prelu import data
from keras_prelu.data.shapes_renderer import SHAPES, render
from tests.data.conftest import encoded, tar, wavy_image

pytestmark = pytest.mark.tensorflow_only

# Images of ImageNet whose format differs from their names, by class.
CMYK = ("n02077923", "n02077923_14822.JPEG")
PNG = ("n02105855", "n02105855_2933.JPEG")


def _train_files():
    files = {
        (synset, f"{synset}_{number}.JPEG"): encoded(wavy_image(50, 60, number))
        for synset, number in itertools.product(
            ("n01440764", CMYK[0], PNG[0], "n15075141"), range(3)
        )
    }
    files[CMYK] = encoded(Image.fromarray(wavy_image(50, 60, 8)).convert("CMYK"))
    files[PNG] = encoded(wavy_image(50, 60, 9), "PNG")
    return files


@pytest.fixture(scope="module", params=["array_record", "tfrecord"])
def imagenet(request, tmp_path_factory):
    """Prepare a toy `imagenet2012` with the real builder; return its data_dir."""
    data_dir = tmp_path_factory.mktemp(request.param)
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    files = _train_files()
    tars = {
        f"{synset}.tar": tar({n: c for (s, n), c in files.items() if s == synset})
        for synset, _ in files
    }
    (manual / "ILSVRC2012_img_train.tar").write_bytes(tar(tars))
    validation = {
        f"ILSVRC2012_val_{number:08}.JPEG": encoded(wavy_image(40, 50, number))
        for number in range(1, 5)
    }
    (manual / "ILSVRC2012_img_val.tar").write_bytes(tar(validation))
    if request.param == "tfrecord":  # as a user may have prepared it before
        tfds.builder("imagenet2012", data_dir=data_dir).download_and_prepare()
    return data_dir, files


def test_imagenet_from_tars_equals_a_folder(imagenet, tmp_path):
    data_dir, files = imagenet
    source = data.from_tfds("imagenet2012", "train", data_dir)
    assert len(source) == len(files) == 14
    assert len(source.class_names) == 1000
    for (synset, name), content in files.items():
        (tmp_path / synset).mkdir(exist_ok=True)
        (tmp_path / synset / name).write_bytes(content)
    folder = data.from_directory(tmp_path)

    by_name = {folder.describe(i).rpartition("/")[2]: folder[i] for i in range(14)}
    for index in range(14):
        content, label = source[index]
        name = source.describe(index).rpartition("(")[2].rstrip(")")
        expected, folder_label = by_name.pop(name)
        assert source.class_names[label] == folder.class_names[folder_label]
        if name in (CMYK[1], PNG[1]):  # the builder turns these into RGB JPEGs
            actual = data.decoding.decode_rgb(content).astype(int)
            expected = data.decoding.decode_rgb(expected)
            assert np.abs(actual - expected).mean() < 4
        else:
            assert content == expected
    assert not by_name


def test_parts_of_splits_are_read_in_any_order(imagenet):
    data_dir, _ = imagenet
    whole = data.from_tfds("imagenet2012", "train", data_dir)
    part = data.from_tfds("imagenet2012", "train[5:9]", data_dir)
    assert [part[i] for i in (3, 0, 2)] == [whole[i] for i in (8, 5, 7)]
    assert len(part) == 4
    validation = data.from_tfds("imagenet2012", "validation", data_dir)
    assert len(validation) == 4


def test_batches_from_tfds_start_anywhere(imagenet):
    source = data.from_tfds("imagenet2012", "train", imagenet[0])
    options = {"image_size": 32, "scale": (32, 48)}
    whole = list(data.train_batches(source, 4, **options).take(6))
    resumed = list(data.train_batches(source, 4, start_step=4, **options).take(2))
    for (x, y), (later_x, later_y) in zip(whole[4:], resumed, strict=True):
        assert (x["pixels"] == later_x["pixels"]).numpy().all()
        assert (y == later_y).numpy().all()


def test_an_unknown_split_is_named(imagenet):
    with pytest.raises(ValueError, match="Received: split=dev"):
        data.from_tfds("imagenet2012", "dev", imagenet[0])


@pytest.mark.parametrize("name", ["imagenet2021", "./photos", "imagenet2012/large"])
def test_an_unknown_dataset_is_named_in_one_line(name, tmp_path):
    with pytest.raises(ValueError, match=f"Received: name={name}$"):
        data.from_tfds(name, "train", tmp_path)


def test_missing_tars_are_named(tmp_path):
    (tmp_path / "downloads" / "manual").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="ILSVRC2012_img_train.tar"):
        data.from_tfds("imagenet2012", "train", tmp_path)


def test_missing_manual_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="downloads/manual"):
        data.from_tfds("imagenet2012", "train", tmp_path)


@pytest.fixture
def few_shapes(monkeypatch):
    from keras_prelu.data import shapes_dataset

    monkeypatch.setattr(shapes_dataset, "_SIZES", {"train": 32, "validation": 16})


def test_shapes_is_a_tfds_dataset_with_the_same_bits_every_time(few_shapes, tmp_path):
    first = data.shapes("train", tmp_path / "1")
    tfds.load("prelu_shapes", data_dir=tmp_path / "2")
    second = data.shapes("train", tmp_path / "2")
    images = [first[i] for i in range(32)]
    assert images == [second[i] for i in range(32)]
    assert first.class_names == sorted(SHAPES)
    assert np.bincount([label for _, label in images]).tolist() == [2] * 16
    assert first.fingerprint() == second.fingerprint()
    validation = data.shapes("validation", tmp_path / "1").fingerprint()
    assert data.differences(first.fingerprint(), validation) == [
        "count: 32 before, 16 now",
        "split: train before, validation now",
    ]
    assert validation["builder"] == "prelu_shapes/2.0.0"
    rendered = {render(name, (0, i)) for i, name in enumerate([*SHAPES] * 2)}
    assert {content for content, _ in images} == rendered


def test_the_bits_of_shapes_do_not_change():
    images = b"".join(render(name, (5, i)) for i, name in enumerate([*SHAPES] * 4))
    assert hashlib.sha256(images).hexdigest() == (
        "9688a7ec5fe7aa5b47879291d55633df3fc12ebe7f4c886768fe54388544b063"
    ), "The renderer draws other shapes: give the dataset a new version"


def test_shapes_vary_in_size_and_differ():
    sizes, contents = set(), set()
    for index in range(40):
        content = render("star", (1, index))
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "JPEG" and image.mode == "RGB"
            assert min(image.size) >= 128 and max(image.size) <= 256
            assert max(image.size) <= min(image.size) * 4 / 3
            sizes.add(image.size)
        contents.add(content)
    assert len(contents) == 40 and len(sizes) > 30
