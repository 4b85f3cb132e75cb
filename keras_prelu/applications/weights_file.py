"""The files of weights that Keras writes, read with distrust.

HDF5 can do more than Keras asks of it: an array's values may lie in another file, and
a link may lead there. A file that does so is refused: it would make weights out of
whatever file it names.
"""

import contextlib
import math
import zipfile
import zlib

import h5py
import ml_dtypes
import numpy as np
from absl import logging

from keras_prelu.applications import downloads

_SUFFIXES = (".weights.h5", ".keras")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What damaged files raise: RuntimeError is also how zipfile tells of a password.
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
    """Something in a file that Keras would not have written; the message names it."""


def check_suffix(path):
    """Refuses a path that does not end as the files that Keras writes."""
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
    except _RefusedError as error:
        raise ValueError(
            "A file of weights must hold arrays of finite real numbers, all in the "
            f"file itself. {error}. Received: weights={str(path)!r}"
        ) from None
    except _DAMAGE as error:
        raise ValueError(
            f"Cannot read weights: {_what_is_wrong_with(path)} ({error}). "
            f"Received: weights={str(path)!r}"
        ) from error


def _member(group, name, kind):
    """Returns a member of a group; `None` if there is none.

    Links are told before they are followed: following one would open another file.
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
    """Refuses an array by what is declared of it; no value is read."""
    if dataset.is_virtual or dataset.external:
        raise _RefusedError("its values are not in this file")
    if dataset.dtype.kind not in "fiu" and not _is_bfloat16(dataset):
        raise _RefusedError(f"its values are of type {dataset.dtype}")
    size = math.prod(dataset.shape or [0]) * dataset.dtype.itemsize
    if not 0 < size <= dataset.file.id.get_filesize():
        raise _RefusedError(
            f"it declares the shape {dataset.shape}, which the file does not hold"
        )


def _read(dataset):
    """Returns the values of an array, as Keras wrote them."""
    values = dataset[()]
    if _is_bfloat16(dataset):
        values = values.view(ml_dtypes.bfloat16)
    # NaN is no number between any two; larger ones would be infinite in float32.
    if not -_LARGEST <= values.min() <= values.max() <= _LARGEST:
        raise _RefusedError("it holds NaN or infinite values")
    return values


@contextlib.contextmanager
def _named(layer, number):
    """Puts the name of an array before what is said of it."""
    try:
        yield
    except _RefusedError as error:
        raise _RefusedError(f"{layer}, array {number}: {error}") from None


def _arrays_of(variables, layer):
    """Returns the arrays of a layer, checked and not read yet."""
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
    """Returns the arrays of all layers that have some, by the layers' names."""
    groups, layers = _member(file, "layers", h5py.Group), {}
    for key in () if groups is None else groups:
        group = _member(groups, key, h5py.Group)
        variables = group and _member(group, "vars", h5py.Group)
        if variables is not None and len(variables):
            layer = variables.attrs.get("name")
            if not isinstance(layer, str):
                raise _RefusedError(f"{variables.name} does not name its layer")
            layers[layer] = _arrays_of(variables, layer)
    return layers


class WeightsFile:
    """A file that Keras wrote: `.weights.h5`, or `.keras`.

    Layers are told by their names, which Keras keeps in the file and which the
    builder gives: neither the name of the model nor the order of its layers counts.

    Attributes:
        path: The path of the file.
        shapes: A dict from each layer's name to the shapes of its arrays.
        mean: The values of the layer `mean`, or `None`.
    """

    def __init__(self, path):
        check_suffix(path)
        self.path = path
        with _open(path) as file:
            layers = _layers(file)
            self.shapes = {
                layer: [array.shape for array in arrays]
                for layer, arrays in layers.items()
            }
            self.mean = None
            if "mean" in layers:
                with _named("mean", 0):
                    self.mean = _read(layers["mean"][0])

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
            elif name == replaceable and _differ_in_units(found, shapes):
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
                f"of channels. {shown}{more}.{self._hint(wanted)} "
                f"Received: weights={str(self.path)!r}"
            )
        return matched

    def _hint(self, wanted):
        """Returns why a file of models A or B from before their correction misfits."""
        found, now = (shapes.get("conv1") for shapes in (self.shapes, wanted))
        if not (found and now and 3 * found[0][-1] == 2 * now[0][-1]):
            return ""
        return (
            " Models A and B once had 64 filters in their first layer here, where the "
            "paper has 96: this file was written then, so train the net again."
        )

    def load(self, model, matched):
        """Loads the layers named in `matched`, the result of `match()`.

        An array with values that are not finite is refused when it is read. The model
        then has only a part of the file's values: do not use it.
        """
        with _open(self.path) as file:
            layers = _layers(file)
            for name in matched:
                variables = model.get_layer(name).weights
                arrays = zip(variables, layers[name], strict=True)
                for number, (variable, array) in enumerate(arrays):
                    with _named(name, number):
                        variable.assign(_read(array))
        logging.info("Loaded %d layers from %s.", len(matched), self.path)


def _differ_in_units(found, wanted):
    """Whether a layer's shapes in the file are those wanted but for the last axis."""
    return (
        found is not None
        and [shape[:-1] for shape in found] == [shape[:-1] for shape in wanted]
        and len({shape[-1] for shape in found}) == 1
    )
