"""Folders of images as the data of a recipe: divided into splits, or not."""

import pytest

from training import from_recipe
from training.recipes import quickstart

pytestmark = pytest.mark.tensorflow_only
NAMES = {"train": "train", "validation": "validation"}


def make_files(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"image")


def opened(folder, split):
    return from_recipe.open_source({"path": str(folder), **NAMES}, split)


@pytest.mark.parametrize("name", ["train", "validation"])
def test_a_class_may_have_the_name_of_a_split(name, tmp_path):
    names = ["bus", "car", name]
    make_files(tmp_path, *(f"{c}/{n}.png" for c in names for n in range(5)))
    # Notebooks leave such folders behind.
    make_files(tmp_path, f"{name}/.ipynb_checkpoints/0.png")
    train, validation = (opened(tmp_path, split) for split in NAMES)
    assert train.class_names == validation.class_names == names
    assert (len(train), len(validation)) == (12, 3)


def test_splits_are_folders_of_folders(tmp_path):
    make_files(tmp_path, "train/bus/0.png", "train/car/1.png", "validation/bus/2.png")
    train, validation = (opened(tmp_path, split) for split in NAMES)
    assert (train.class_names, len(train)) == (["bus", "car"], 2)
    assert (validation.class_names, len(validation)) == (["bus"], 1)


def test_images_of_a_single_class_are_not_trained_on(tmp_path):
    make_files(tmp_path, *(f"images/{n}.png" for n in range(5)))
    config = quickstart.get_config()
    config.data.path = str(tmp_path)
    with pytest.raises(ValueError, match=r"at least two classes.*Received: \['images'"):
        from_recipe.open_sources(config)


def test_a_missing_split_is_named(tmp_path):
    make_files(tmp_path, "train/bus/0.png", "train/car/1.png")
    path = tmp_path / "validation"
    with pytest.raises(FileNotFoundError, match=f"path={path}, which does not exist"):
        opened(tmp_path, "validation")


def test_splits_without_class_folders_are_not_taken_for_classes(tmp_path):
    make_files(tmp_path, *(f"{split}/{n}.png" for split in NAMES for n in range(5)))
    path = tmp_path / "train"
    with pytest.raises(ValueError, match=f"path={path}, which has no folders"):
        opened(tmp_path, "train")
