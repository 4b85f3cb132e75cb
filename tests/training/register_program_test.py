"""training.register, with a copy of the package's registry."""

import hashlib
import json

import numpy as np
import pytest

from keras_prelu.applications import ModelA

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]
SUMMARY = {
    "data": "pets test",
    "protocol": "center",
    "scales": [36],
    "flip": False,
    "examples": 10,
    "top1_error": 0.25,
    "top5_error": None,
}
OLD = {"tiny": {"sha256": "of the old weights"}}


@pytest.fixture
def package(tmp_path):
    """Return a folder with a registry and the weights that it describes."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "weights.json").write_text(json.dumps(OLD))
    (folder / "tiny.weights.h5").write_bytes(b"old weights")
    return folder


def make_run(folder, evaluation, **data):
    """Write the files of a run whose data are gone, and return its model."""
    folder.mkdir()
    model = ModelA(input_shape=(32, 32, 3), classes=2, width=1 / 32)
    model.save(folder / "model.keras")
    config = {
        "model": {"name": "model_a", "activation": "prelu", "width": 1 / 32},
        "data": {"path": "", "validation": "test", "image_size": 32, **data},
    }
    for name, content in {
        "config.json": config,
        "data.json": {"train": {"class_names": ["ant", "bee"]}},
        "evaluation.json": evaluation,
    }.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "command.txt").write_text("python -m training.train\n")
    return model


@pytest.fixture
def register(python, package):
    """Return a function that publishes the weights of a run as `tiny`."""
    program = (
        "import pathlib; from absl import app; from training import register; "
        f"register.PACKAGE = pathlib.Path({str(package)!r}); app.run(register.main)"
    )
    return lambda workdir: python("-c", program, f"--workdir={workdir}", "--name=tiny")


def test_weights_and_entry_are_published(tmp_path, register, package):
    model = make_run(tmp_path / "run", {"center": SUMMARY}, name="pets")
    done = register(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    entry = json.loads((package / "weights.json").read_text())["tiny"]
    file = package / entry["file"]
    assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry["class_names"] == ["ant", "bee"]
    assert entry["protocol"]["data"] == "pets test"
    assert entry["scores"] == {"top1_error": 0.25, "top5_error": None}
    other = ModelA(input_shape=(32, 32, 3), classes=2, width=1 / 32)
    other.load_weights(file)
    for old, new in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    names = {path.name for path in package.iterdir()}
    assert names == {"weights.json", "tiny.weights.h5"}


def test_a_folder_of_images_is_named(tmp_path, register, package):
    summary = {**SUMMARY, "data": "photos test"}
    make_run(tmp_path / "run", {"center": summary}, path="photos")
    done = register(tmp_path / "run")
    assert done.returncode == 0, done.stderr
    entry = json.loads((package / "weights.json").read_text())["tiny"]
    assert entry["protocol"]["data"] == "photos test"


def test_errors_on_other_data_are_not_published(tmp_path, register, package):
    summary = {**SUMMARY, "data": "pets train"}
    make_run(tmp_path / "run", {"center": summary}, name="pets")
    done = register(tmp_path / "run")
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert "of its validation data, pets test" in line
    assert f"Received: --workdir={tmp_path / 'run'}, evaluated on pets train" in line
    assert json.loads((package / "weights.json").read_text()) == OLD


@pytest.mark.parametrize("evaluation", [{"dense": SUMMARY}, {}])
def test_without_a_center_error_nothing_is_published(
    evaluation, tmp_path, register, package
):
    make_run(tmp_path / "run", evaluation, name="pets")
    done = register(tmp_path / "run")
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert "evaluation.json has the protocol `center`" in line
    assert f"Received: --workdir={tmp_path / 'run'}, with " in line
    assert f"with {', '.join(evaluation) or 'none'}" in line
    assert (package / "tiny.weights.h5").read_bytes() == b"old weights"
    assert json.loads((package / "weights.json").read_text()) == OLD
    assert len(list(package.iterdir())) == 2
