"""What programs are given: nets by name, data by configuration, models of runs."""

import pathlib

import keras

from keras_prelu import data
from keras_prelu.applications import CONSTRUCTORS as CONSTRUCTORS
from training.workdir import read_json


def open_source(config, split):
    """Returns a split of the data of a configuration.

    Args:
        config: What a recipe has under `data`: `name`, `path` and `data_dir`.
        split: Name of the split.
    """
    if config["path"]:
        return _open_folder(pathlib.Path(config["path"]), config, split)
    if not config.get("name"):
        raise ValueError(
            "`config.data.path` must be the folder of the pictures. Received: "
            "config.data.path=''"
        )
    data_dir = config.get("data_dir") or None
    if config["name"] == "prelu_shapes":  # makes it known to TFDS
        return data.shapes(split, data_dir)
    return data.from_tfds(config["name"], split, data_dir)


def _open_folder(path, config, split):
    """A split of a folder: a folder in it, or a part where it has no such folders."""
    names = [config.get(key, key) for key in ("train", "validation")]
    if split not in names or any((path / name).is_dir() for name in names):
        return data.from_directory(path / split)
    parts = data.split(data.from_directory(path))
    return parts[names.index(split)]


def read_config(workdir):
    """Returns the configuration of the run in a folder, as a dict."""
    path = pathlib.Path(workdir, "config.json")
    if not path.is_file():
        raise ValueError(
            f"`workdir` must be the folder of a run, with its config.json in it. "
            f"Received: workdir={workdir}"
        )
    return read_json(path)


def load_model(workdir):
    """Returns the model that the run in a folder has trained."""
    path = pathlib.Path(workdir, "model.keras")
    if not path.is_file():
        raise ValueError(
            "`workdir` must be the folder of a finished run, with its model.keras in "
            f"it. Received: workdir={workdir}"
        )
    return keras.saving.load_model(path, compile=False)
