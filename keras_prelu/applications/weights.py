"""Weights of the nets: registered names, URLs and files; what fits is loaded."""

import contextlib
import functools
import importlib.resources
import json
import os
import re
import urllib.parse
import zipfile
from pathlib import Path

import h5py
import keras
import ml_dtypes
from absl import logging

from keras_prelu.applications import downloads

_SUFFIXES = (".weights.h5", ".keras")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@functools.cache
def registry():
    """Returns the registered weights, by name.

    An entry holds the net, the arguments of its constructor, where the file is (`url`,
    or `file` beside the registry), its sha256, the class names, the mean, and the
    protocol, scores and command that belong to it.
    """
    text = importlib.resources.files(__package__).joinpath("weights.json").read_text()
    return json.loads(text)


def find(weights):
    """Returns the file that the argument `weights` of a constructor speaks of.

    Args:
        weights: `None`, a path, a URL with its hash, or a registered name.

    Returns:
        A `WeightsFile`, or `None` for `None`.
    """
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            "Argument `weights` must be None, a path, a URL or a registered name. "
            f"Received: weights={weights!r}"
        )
    name = os.fspath(weights)
    if Path(name).is_file():
        return WeightsFile(Path(name))
    if urllib.parse.urlsplit(name).scheme in ("http", "https", "file"):
        return WeightsFile(_from_url(name))
    if name in registry():
        return _from_registry(name)
    if name == "imagenet":
        raise ValueError(
            "No ImageNet weights of these nets exist: the authors published none, and "
            "nobody has trained them with this package yet. training/recipes/ in the "
            "repository has the recipes that would. Received: weights='imagenet'"
        )
    known = ", ".join(repr(key) for key in registry()) or "none as yet"
    raise ValueError(
        "Argument `weights` must be None, the path of an existing file, a URL with "
        f"its hash, or a registered name ({known}). Received: weights={name!r}"
    )


def _from_url(url):
    address, _, fragment = url.partition("#")
    if not re.fullmatch("sha256=[0-9a-f]{64}", fragment):
        raise ValueError(
            "A URL in `weights` must end in the hash of its file, as in "
            f"'https://host/name.weights.h5#sha256=<64 hex digits>'. "
            f"Received: weights={url!r}"
        )
    _check_suffix(urllib.parse.urlsplit(address).path)
    return downloads.fetch(address, fragment.removeprefix("sha256="))


def with_registered_arguments(net, given):
    """Completes a constructor's arguments with those of registered weights.

    Args:
        net: Name of the net that is to be built.
        given: Dict of the arguments that the caller gave.

    Returns:
        A dict: `given`, and where `weights` is a registered name, the arguments that
        these weights were trained with.
    """
    name = given.get("weights")
    if not isinstance(name, str) or name not in registry() or Path(name).is_file():
        return given
    entry = registry()[name]
    if entry["net"] != net:
        raise ValueError(
            f"The weights {name!r} are for the net {entry['net']!r}. "
            f"Received: weights={name!r} for {net!r}"
        )
    for argument, value in entry["arguments"].items():
        if given.get(argument, value) != value:
            raise ValueError(
                f"The weights {name!r} are for {argument}={value!r}: leave it "
                f"out. Received: {argument}={given[argument]!r}"
            )
    brought = {**entry["arguments"], "classes": len(entry["class_names"])}
    if given.get("include_top", True) and given.get("input_tensor") is None:
        side, channels = entry["input_size"], len(entry["mean"])
        first = keras.config.image_data_format() == "channels_first"
        brought["input_shape"] = (
            (channels, side, side) if first else (side, side, channels)
        )
    return {**brought, **given}


def _from_registry(name):
    entry = registry()[name]
    if "url" in entry:
        return WeightsFile(downloads.fetch(entry["url"], entry["sha256"]))
    path = Path(str(importlib.resources.files(__package__).joinpath(entry["file"])))
    if downloads.sha256_of(path) != entry["sha256"]:
        raise ValueError(
            f"The file {path} of the weights {name!r} is damaged: install the package "
            f"anew. Expected: sha256={entry['sha256']}. "
            f"Received: sha256={downloads.sha256_of(path)}"
        )
    return WeightsFile(path)


def _check_suffix(path):
    if not str(path).endswith(_SUFFIXES):
        raise ValueError(
            f"A file of weights must end in {' or '.join(_SUFFIXES)}. "
            f"Received: weights={str(path)!r}"
        )


def _what_is_wrong_with(path):
    if downloads.looks_like_html(path):
        return "it looks like an HTML page"
    with path.open("rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    if start.startswith((_HDF5_SIGNATURE, b"PK")):
        return "it seems to be truncated"
    return "it is no HDF5 file"


@contextlib.contextmanager
def _open(path):
    """Opens the HDF5 part of a weights file or of a saved model."""
    try:
        if path.name.endswith(".keras"):
            with (
                zipfile.ZipFile(path) as archive,
                archive.open("model.weights.h5") as member,
                h5py.File(member, "r") as file,
            ):
                yield file
        else:
            with h5py.File(path, "r") as file:
                yield file
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"Cannot read weights: {_what_is_wrong_with(path)} ({error}). "
            f"Received: weights={str(path)!r}"
        ) from error


def _read(dataset):
    """Returns the values of a data set, as Keras wrote them."""
    values = dataset[()]
    if dataset.attrs.get("dtype") == "bfloat16":
        values = values.view(ml_dtypes.bfloat16)
    return values


class WeightsFile:
    """A file that Keras wrote: `.weights.h5`, or `.keras`.

    Layers are told by their names, which Keras keeps in the file and which the
    builder gives: neither the name of the model nor the order of its layers counts.
    """

    def __init__(self, path):
        _check_suffix(path)
        self.path = path
        self.layers = {}
        with _open(path) as file:
            for group in file.get("layers", {}).values():
                variables = group.get("vars", {})
                if len(variables):
                    paths = [variables[str(i)].name for i in range(len(variables))]
                    self.layers[str(variables.attrs["name"])] = paths
            self.shapes = {
                layer: [file[path].shape for path in paths]
                for layer, paths in self.layers.items()
            }
            mean = self.layers.get("mean")
            self.mean = None if mean is None else _read(file[mean[0]])

    def match(self, model, replaceable, absent):
        """Compares the file with a model, before anything is loaded.

        Args:
            model: The model; its values are not looked at.
            replaceable: Name of the layer that may have another number of units, and
                is then left as it is.
            absent: Names of the layers that the model does without.

        Returns:
            The names of the layers to load.
        """
        wanted = {
            layer.name: [tuple(weight.shape) for weight in layer.weights]
            for layer in model.layers
            if layer.weights
        }
        matched, problems = [], []
        for name, shapes in wanted.items():
            found = self.shapes.get(name)
            if found == shapes:
                matched.append(name)
            elif name == replaceable and found and found[0][:-1] == shapes[0][:-1]:
                logging.warning(
                    "%s has %d classes, the model %d: %s is new.",
                    self.path, found[0][-1], shapes[0][-1], name,
                )  # fmt: skip
            else:
                what = f"has {found}" if found else "lacks it"
                problems.append(f"{name}: the model wants {shapes}, the file {what}")
        for name in self.shapes.keys() - wanted.keys() - absent:
            problems.append(f"{name}: the model has no such layer")
        if problems or not matched:
            shown = "; ".join(sorted(problems)[:5]) or "no layer matches"
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise ValueError(
                "The file of weights is for another net, width, activation or number "
                f"of channels. {shown}{more}. Received: weights={str(self.path)!r}"
            )
        return matched

    def load(self, model, matched):
        """Loads the layers named in `matched`, the result of `match()`."""
        with _open(self.path) as file:
            for name in matched:
                variables = model.get_layer(name).weights
                for variable, path in zip(variables, self.layers[name], strict=True):
                    variable.assign(_read(file[path]))
        logging.info("Loaded %d layers from %s.", len(matched), self.path)
