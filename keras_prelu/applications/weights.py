"""Weights of the nets: registered names, URLs and files."""

import functools
import importlib.resources
import json
import os
import re
import urllib.parse
from pathlib import Path

import keras

from keras_prelu.applications import downloads
from keras_prelu.applications.weights_file import WeightsFile, check_suffix


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
    check_suffix(urllib.parse.urlsplit(address).path)
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
