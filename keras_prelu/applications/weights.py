"""The constructors' argument `weights`: registered names, URLs and files."""

import functools
import importlib.resources
import inspect
import json
import os
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import keras

from keras_prelu.applications import downloads
from keras_prelu.applications.weights_file import WeightsFile, check_suffix

__all__ = [
    "complete_registered_weights",
    "find",
    "registry",
    "with_registered_arguments",
]

_Arguments = ParamSpec("_Arguments")


@functools.cache
def registry() -> dict[str, dict[str, Any]]:
    """Return the registered weights, by name.

    Each entry holds the net, the arguments of its constructor, the `url` of the file
    or its name beside the registry (`file`), its sha256, the class names, the mean,
    the evaluation protocol and its scores, and the command that trained it.
    """
    text = importlib.resources.files(__package__).joinpath("weights.json").read_text()
    return json.loads(text)


def find(weights: Any) -> WeightsFile | None:
    """Return the file that a constructor's argument `weights` refers to.

    Args:
        weights: `None`, a path, a URL with its hash, or a registered name.

    Returns:
        A `WeightsFile`, or `None` if `weights` is `None`.
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
    known = ", ".join(repr(key) for key in registry()) or "none yet"
    hint = ""
    if name == "imagenet":
        hint = (
            " No ImageNet weights of these models exist: the authors published none, "
            "and nobody has trained the models with this package yet. The recipes in "
            "training/recipes/ of the repository would train them."
        )
    raise ValueError(
        "Argument `weights` must be None, the path of an existing file, a URL with "
        f"its hash, or a registered name ({known}).{hint} Received: weights={name!r}"
    )


def _from_url(url):
    address, _, fragment = url.partition("#")
    if not re.fullmatch("sha256=[0-9a-f]{64}", fragment):
        raise ValueError(
            "Argument `weights` must end in the hash of the file if it is a URL, as in "
            "'https://host/name.weights.h5#sha256=<64 hex digits>'. "
            f"Received: weights={url!r}"
        )
    check_suffix(urllib.parse.urlsplit(address).path)
    return downloads.fetch(address, fragment.removeprefix("sha256="))


def _from_registry(name):
    entry = registry()[name]
    if "url" in entry:
        return WeightsFile(downloads.fetch(entry["url"], entry["sha256"]))
    path = Path(str(importlib.resources.files(__package__).joinpath(entry["file"])))
    actual = downloads.sha256_of(path)
    if actual != entry["sha256"]:
        raise ValueError(
            f"The file {path} of the weights {name!r} is damaged: install keras_prelu "
            f"again. Expected: sha256={entry['sha256']}. Received: sha256={actual}"
        )
    return WeightsFile(path)


def with_registered_arguments(net: str, given: dict[str, Any]) -> dict[str, Any]:
    """Add the arguments of registered weights to those of a constructor call.

    Args:
        net: Name of the net to build.
        given: Dict of the arguments in the call.

    Returns:
        `given`, completed if `weights` is a registered name by the arguments with which
        these weights were trained.
    """
    name = given.get("weights")
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not isinstance(name, str) or name not in registry() or Path(name).is_file():
        return given
    entry = registry()[name]
    if entry["net"] != net:
        raise ValueError(
            f"Argument `weights` must be for the net {net!r}. "
            f"Received: weights={name!r}, which are for the net {entry['net']!r}"
        )
    for argument, value in entry["arguments"].items():
        if given.get(argument, value) != value:
            raise ValueError(
                f"Argument `{argument}` must be {value!r}, or be left out, for the "
                f"weights {name!r}. Received: {argument}={given[argument]!r}"
            )
    registered = {**entry["arguments"], "classes": len(entry["class_names"])}
    if given.get("include_top", True) and given.get("input_tensor") is None:
        side, channels = entry["input_size"], len(entry["mean"])
        is_channels_first = keras.config.image_data_format() == "channels_first"
        registered["input_shape"] = (
            (channels, side, side) if is_channels_first else (side, side, channels)
        )
    return {**registered, **given}


def complete_registered_weights(
    net: str,
) -> Callable[[Callable[_Arguments, keras.Model]], Callable[_Arguments, keras.Model]]:
    """Decorate a constructor so that registered weights provide omitted arguments.

    The constructor itself cannot tell an omitted argument from one that equals its
    default, and only the latter may contradict registered weights.

    Args:
        net: Name of the net that the constructor builds.

    Returns:
        A decorator that keeps the constructor's signature and docstring.
    """

    def decorate(constructor):
        signature = inspect.signature(constructor)

        @functools.wraps(constructor)
        def construct(*args, **kwargs):
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise TypeError(f"{constructor.__name__}(): {error}") from None
            return constructor(**with_registered_arguments(net, given))

        return construct

    return decorate
