"""Malicious and damaged weights files: each raises an error that names the reason."""

import functools

import h5py
import keras
import numpy as np
import pytest

from keras_prelu.applications import Model14

NET = {"width": 1 / 64, "classes": 3, "input_shape": (32, 32, 3)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "net.weights.h5"
    keras.utils.set_random_seed(0)
    Model14(**NET).save_weights(path)
    return path.read_bytes()


@pytest.fixture
def path(saved, tmp_path):
    path = tmp_path / "net.weights.h5"
    path.write_bytes(saved)
    return path


def variables_of(file, layer):
    """Return the group of a layer's arrays."""
    for group in file["layers"].values():
        if "vars" in group and group["vars"].attrs.get("name") == layer:
            return group["vars"]
    raise AssertionError(layer)


def replace(path, make, layer="conv1"):
    """Replace the first array of a layer by what `make` creates."""
    with h5py.File(path, "r+") as file:
        variables = variables_of(file, layer)
        values = variables["0"][()]
        del variables["0"]
        make(variables, values)


def external_storage(variables, values, secret):
    secret.write_bytes(np.ones_like(values).tobytes())
    external = [(str(secret), 0, values.nbytes)]
    variables.create_dataset("0", values.shape, values.dtype, external=external)


def external_link(variables, values, secret):
    with h5py.File(secret, "w") as other:
        other["x"] = np.ones_like(values)
    variables["0"] = h5py.ExternalLink(str(secret), "/x")


def virtual(variables, values, secret):
    with h5py.File(secret, "w") as other:
        other["x"] = np.ones_like(values)
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(str(secret), "x", values.shape)
    variables.create_virtual_dataset("0", layout)


@pytest.mark.parametrize(
    "make, message",
    [
        (external_storage, "conv1, array 0: its values are not in this file"),
        (external_link, "vars/0 is a link"),
        (virtual, "conv1, array 0: its values are not in this file"),
    ],
)
def test_bytes_of_another_file_never_become_weights(path, tmp_path, make, message):
    secret = tmp_path / "secret"
    replace(path, functools.partial(make, secret=secret))
    with pytest.raises(ValueError, match=f"{message}.*Received: weights="):
        Model14(weights=path, **NET)


@pytest.mark.parametrize("where", ["layers", "layers/conv2d", "layers/conv2d/vars"])
def test_a_link_to_another_file_raises_an_error(path, tmp_path, where):
    other = tmp_path / "other.h5"
    other.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[where]
        file[where] = h5py.ExternalLink(str(other), f"/{where}")
    with pytest.raises(ValueError, match=f"/{where} is a link"):
        Model14(weights=path, **NET)


def put(content, **options):
    return lambda variables, values: variables.create_dataset(
        "0", data=content(values) if callable(content) else content, **options
    )


def absurd(variables, values):
    variables.create_dataset("0", (10**7, 10**7), "float32", chunks=(10, 10))


@pytest.mark.parametrize("layer", ["conv1", "mean"])
@pytest.mark.parametrize(
    "make, message",
    [
        (put(lambda x: np.where(x == x.max(), np.nan, x)), "NaN or infinite"),
        (put(lambda x: np.where(x == x.max(), -np.inf, x)), "NaN or infinite"),
        (put(lambda x: np.full(x.shape, 1e300)), "NaN or infinite"),
        (put(lambda x: x + 0j), "values are of type complex"),
        (put(lambda x: np.full(x.shape, b"1")), r"values are of type \|S1"),
        (put(h5py.Empty("float32")), "declares the shape None"),
        (absurd, r"declares the shape \(10000000, 10000000\)"),
    ],
)
def test_an_array_that_cannot_be_weights_raises_an_error_that_names_it(
    path, layer, make, message
):
    replace(path, make, layer)
    with pytest.raises(
        ValueError, match=f"{layer}, array 0: .*{message}.*Received: weights="
    ):
        Model14(weights=path, **NET)


def test_a_head_is_replaced_only_if_its_arrays_agree(path):
    with h5py.File(path, "r+") as file:
        variables = variables_of(file, "fc3")
        del variables["1"]
        variables["1"] = np.zeros(7, "float32")
    with pytest.raises(ValueError, match=r"fc3: the model has .*, \(5,\)\]"):
        Model14(weights=path, **{**NET, "classes": 5})


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda variables: variables.attrs.pop("name"), "does not name its layer"),
        (lambda variables: variables.move("0", "7"), "conv1 lacks the array 0"),
    ],
)
def test_a_layer_without_a_name_or_an_array_raises_an_error(path, damage, message):
    with h5py.File(path, "r+") as file:
        damage(variables_of(file, "conv1"))
    with pytest.raises(ValueError, match=f"{message}.*Received: weights="):
        Model14(weights=path, **NET)


def test_a_damaged_layer_name_raises_an_error_that_names_the_file(path, saved):
    path.write_bytes(saved.replace(b"dropout", b"dropo\xffu"))
    with pytest.raises(ValueError, match="must be a readable file.*Received: weights="):
        Model14(weights=path, **NET)
