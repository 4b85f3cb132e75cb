"""Weights files that Keras wrote, read without trusting them.

HDF5 lets an array's values, or a link, point to another file. Keras never writes such
files, and they could turn the bytes of any file they name into weights, so they raise
an error here.
"""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import h5py
import keras
import ml_dtypes
import numpy as np
from absl import logging

from keras_prelu.applications import downloads

__all__ = ["WeightsFile", "check_suffix"]

_SUFFIXES = (".weights.h5", ".keras")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Exceptions that damaged files raise. zipfile raises RuntimeError for a password.
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)
_LARGEST = float(np.finfo("float32").max)


class _RefusedError(ValueError):
    """A file holds something that Keras would not have written."""


def check_suffix(path: Path | str) -> None:
    """Raise a ValueError unless a path ends like a file that Keras writes."""
    if not str(path).endswith(_SUFFIXES):
        raise ValueError(
            f"Argument `weights` must be a file that ends in {' or '.join(_SUFFIXES)}. "
            f"Received: weights={str(path)!r}"
        )


def _damage_of(path):
    """Return a description of why a file cannot be read."""
    if downloads.looks_like_html(path):
        return "it looks like an HTML page"
    with path.open("rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    if start.startswith((_HDF5_SIGNATURE, b"PK")):
        return "it seems to be truncated"
    return "it is not an HDF5 file"


@contextlib.contextmanager
def _open(path):
    """Open the HDF5 part of a weights file or of a saved model."""
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
    except _RefusedError as error:
        raise ValueError(
            "Argument `weights` must be a file that itself holds all its arrays, of "
            f"finite real numbers. {error}. Received: weights={str(path)!r}"
        ) from None
    except _DAMAGE as error:
        raise ValueError(
            f"Argument `weights` must be a readable file: {_damage_of(path)} ({error})."
            f" Received: weights={str(path)!r}"
        ) from error


def _member(group, name, kind):
    """Return a member of a group, or `None` if the group does not have it.

    Links are detected before they are followed, which would open another file.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise _RefusedError(f"{group.name}/{name} is a link, not a part of the file")
    member = group[name]
    if not isinstance(member, kind):
        raise _RefusedError(f"{member.name} is not a {kind.__name__.lower()}")
    return member


def _is_bfloat16(dataset):
    name = dataset.attrs.get("dtype")
    return isinstance(name, str) and name == "bfloat16" and dataset.dtype.itemsize == 2


def _check_array(dataset):
    """Check an array's storage, type and shape without reading its values."""
    if dataset.is_virtual or dataset.external:
        raise _RefusedError("its values are not in this file")
    if dataset.dtype.kind not in "fiu" and not _is_bfloat16(dataset):
        raise _RefusedError(f"its values are of type {dataset.dtype}")
    size = math.prod(dataset.shape or [0]) * dataset.dtype.itemsize
    if not 0 < size <= dataset.file.id.get_filesize():
        raise _RefusedError(
            f"it declares the shape {dataset.shape}, for which the file is too small"
        )


def _read(dataset):
    """Return the values of an array, as Keras wrote them."""
    values = dataset[()]
    if _is_bfloat16(dataset):
        values = values.view(ml_dtypes.bfloat16)
    # Comparisons with NaN are false, and larger values would be infinite in float32.
    if not -_LARGEST <= values.min() <= values.max() <= _LARGEST:
        raise _RefusedError("it holds NaN or infinite values")
    return values


@contextlib.contextmanager
def _named(layer, number):
    """Add the name of an array to the errors that its checks raise."""
    try:
        yield
    except _RefusedError as error:
        raise _RefusedError(f"{layer}, array {number}: {error}") from None


def _arrays_of(variables, layer):
    """Return the arrays of a layer, checked but not read."""
    arrays = []
    for number in range(len(variables)):
        array = _member(variables, str(number), h5py.Dataset)
        if array is None:
            raise _RefusedError(f"{layer} lacks the array {number}")
        with _named(layer, number):
            _check_array(array)
        arrays.append(array)
    return arrays


def _layers(file):
    """Return the arrays of every layer that has a name, by this name."""
    groups, layers = _member(file, "layers", h5py.Group), {}
    for key in () if groups is None else groups:
        group = _member(groups, key, h5py.Group)
        variables = group and _member(group, "vars", h5py.Group)
        if variables is None:
            continue
        layer = variables.attrs.get("name")
        if isinstance(layer, str):
            layers[layer] = _arrays_of(variables, layer)
        elif len(variables):
            raise _RefusedError(f"{variables.name} does not name its layer")
    return layers


class WeightsFile:
    """A `.weights.h5` or `.keras` file that Keras wrote.

    Layers are identified by their names, which Keras stores in the file. The name of
    the model and the order of its layers do not matter.

    Args:
        path: Path of the file.

    Attributes:
        path: Path of the file.
        names: Set of the names of all layers.
        shapes: Dict from layer names to the shapes of their arrays. Layers without
            arrays are left out.
        mean: Values of the layer `mean`, or `None`.
    """

    def __init__(self, path: Path) -> None:
        check_suffix(path)
        self.path = path
        self.mean = None
        with _open(path) as file:
            layers = _layers(file)
            self.names = set(layers)
            self.shapes = {
                layer: [array.shape for array in arrays]
                for layer, arrays in layers.items()
                if arrays
            }
            if "mean" in self.shapes:
                with _named("mean", 0):
                    self.mean = _read(layers["mean"][0])

    def match(
        self,
        model: keras.Model,
        replaceable: str,
        absent: Collection[str],
        foreign: Collection[str],
    ) -> list[str]:
        """Compare the file with a model, before anything is loaded.

        Args:
            model: The model, which may have no values.
            replaceable: Name of the layer that may have another number of units in the
                file. It then keeps its initial values.
            absent: Names of the layers that the model leaves out.
            foreign: Names of layers that only other models have. They are refused even
                if they have no arrays.

        Returns:
            The names of the layers to load.
        """
        model_shapes = {
            layer.name: [tuple(weight.shape) for weight in layer.weights]
            for layer in model.layers
            if layer.weights
        }
        matched, problems = [], []
        for name, shapes in model_shapes.items():
            in_file = self.shapes.get(name)
            if in_file == shapes:
                matched.append(name)
            elif (
                in_file
                and name == replaceable
                and _differ_only_in_units(in_file, shapes)
            ):
                logging.warning(
                    "%s has %d classes, the model %d: %s is new.",
                    self.path, in_file[0][-1], shapes[0][-1], name,
                )  # fmt: skip
            else:
                what = f"has {in_file}" if in_file else "lacks it"
                problems.append(f"{name}: the model has {shapes}, the file {what}")
        unknown = self.shapes.keys() - model_shapes.keys() - set(absent)
        for name in unknown | self.names.intersection(foreign):
            problems.append(f"{name}: the model has no such layer")
        if problems or not matched:
            shown = "; ".join(sorted(problems)[:5]) or "no layer matches"
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise ValueError(
                "Argument `weights` must be a file for the same network, width, "
                f"activation and number of channels. {shown}{more}."
                f"{self._hint(model_shapes)} Received: weights={str(self.path)!r}"
            )
        return matched

    def _hint(self, model_shapes):
        """Return an explanation for files of Models A and B before their correction."""
        in_file, in_model = (
            shapes.get("conv1") for shapes in (self.shapes, model_shapes)
        )
        if not (in_file and in_model and 3 * in_file[0][-1] == 2 * in_model[0][-1]):
            return ""
        return (
            " Earlier versions of keras_prelu built Models A and B with 64 filters in "
            "their first layer, but the paper has 96. This file is of such a model: "
            "train it again."
        )

    def load(self, model: keras.Model, matched: Iterable[str]) -> None:
        """Load the layers that `match()` returned.

        An array with NaN or infinite values raises a ValueError when it is read. The
        model then has only some of the file's values: do not use it.
        """
        names = list(matched)
        with _open(self.path) as file:
            layers = _layers(file)
            for name in names:
                variables = model.get_layer(name).weights
                arrays = zip(variables, layers[name], strict=True)
                for number, (variable, array) in enumerate(arrays):
                    with _named(name, number):
                        variable.assign(_read(array))
        logging.info("Loaded %d layers from %s.", len(names), self.path)


def _differ_only_in_units(in_file, in_model):
    """Return whether a layer's shapes differ only in the last axis."""
    other_axes_agree = [s[:-1] for s in in_file] == [s[:-1] for s in in_model]
    return other_axes_agree and len({shape[-1] for shape in in_file}) == 1
