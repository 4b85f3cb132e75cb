"""training.train on JAX and PyTorch, started, killed and continued by its users."""

import csv
import importlib.util
import json
import os
import pathlib
import sys

import keras
import numpy as np
import pytest
from runs import (
    SAVING,
    arguments,
    finish,
    last_arrays,
    make_images,
    run_with_interruptions,
    start,
    state,
)

TWO_CPUS = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
MIRRORED = "--config.distribution=mirrored"


def variables(backend):
    return {"KERAS_BACKEND": backend, "XLA_FLAGS": ""}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Make images whose last validation batch, of three, two devices cannot share."""
    folder = make_images(tmp_path_factory.mktemp("images") / "set")
    (folder / "validation" / "dark" / "0.png").unlink()
    return folder


@pytest.fixture(scope="module", params=["jax", "torch"])
def backend(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def finished(backend, images, tmp_path_factory):
    """Return the folder of a run that nobody interrupted, and what it printed."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    command = arguments(images, workdir, *SAVING)
    code, printed = finish(start(*command, variables=variables(backend)))
    assert code == 0, printed
    return workdir, printed


def rows_of(workdir):
    with (workdir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def assert_complete(workdir):
    """Check that a run wrote everything, and that all parts agree."""
    rows = rows_of(workdir)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    evaluation = json.loads((workdir / "evaluation.json").read_text())["center"]
    assert evaluation["examples"] == 9
    assert evaluation["top1_error"] == pytest.approx(float(rows[1]["val_top1_error"]))
    drawn = {path.name for path in (workdir / "report").iterdir()}
    assert drawn == {"curves.png", "slopes.png", "confusion.png", "examples.png"}
    assert list((workdir / "tensorboard" / "validation").iterdir())


@pytest.mark.slow
def test_a_run_on_another_backend_explains_itself(finished, backend):
    workdir, printed = finished
    assert_complete(workdir)
    command = (workdir / "command.txt").read_text()
    assert command.startswith(f"KERAS_BACKEND={backend} python -m training.train ")
    compiler = "XLA on" if backend == "jax" else "torch.compile off"
    for text in (f"used by {backend}; 1 replica(s)", compiler):
        assert text in printed


@pytest.mark.slow
def test_a_run_on_another_backend_ends_with_the_same_bits_if_it_is_killed(
    finished, backend, images, tmp_path
):
    command = arguments(images, tmp_path, *SAVING)
    run_with_interruptions(command, tmp_path, variables(backend))
    assert state(tmp_path) == state(finished[0])


# As `python -m training.train` where TensorFlow is not installed.
HIDDEN = (
    "import runpy, without_tensorflow;"  # this script hides TensorFlow
    "runpy.run_module('training.train', run_name='__main__', alter_sys=True)"
)
SCRIPTS = pathlib.Path(__file__).parents[1] / "scripts"


@pytest.mark.slow
def test_a_run_without_tensorflow_reads_the_same_images(
    finished, backend, images, tmp_path
):
    options = arguments(images, tmp_path, *SAVING)[2:]
    more = {
        **variables(backend),
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *sys.path]),
    }
    code, printed = finish(start("-c", HIDDEN, *options, variables=more))
    assert code == 0, printed
    assert not (tmp_path / "tensorboard").exists()
    # The images are PNG files, which Pillow decodes with and without TensorFlow.
    assert state(tmp_path) == state(finished[0])


@pytest.mark.slow
def test_a_run_does_not_change_its_backend(finished, backend, images):
    command = arguments(images, finished[0], *SAVING)
    code, printed = finish(start(*command, variables=variables("tensorflow")))
    assert code == 2, printed
    assert f"is from a run with KERAS_BACKEND={backend}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax"], indirect=True)
def test_two_devices_train_like_one_with_the_same_dropout(
    finished, backend, images, tmp_path
):
    command = arguments(images, tmp_path, *SAVING, MIRRORED)
    more = {**variables(backend), **TWO_CPUS}
    code, printed = finish(start(*command, variables=more))
    assert code == 0, printed
    assert "cpu:0, cpu:1, used by jax; 2 replica(s)" in printed
    assert_complete(tmp_path)
    ours, theirs = last_arrays(tmp_path), last_arrays(finished[0])
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-5, err_msg=name)
    for ours, theirs in zip(rows_of(tmp_path), rows_of(finished[0]), strict=True):
        for name, value in theirs.items():
            assert float(ours[name]) == pytest.approx(float(value), abs=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax"], indirect=True)
def test_two_devices_end_with_the_same_bits_if_they_are_killed(
    backend, images, tmp_path
):
    more = {**variables(backend), **TWO_CPUS}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = arguments(images, whole, *SAVING, MIRRORED)
    code, printed = finish(start(*command, variables=more))
    assert code == 0, printed
    run_with_interruptions(arguments(images, killed, *SAVING, MIRRORED), killed, more)
    assert state(killed) == state(whole)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_a_run_in_this_process_trains_and_ends(images, tmp_path, command_line):
    command_line(arguments(images, tmp_path, "--config.deterministic=False"))
    assert_complete(tmp_path)
    bits = state(tmp_path)
    command_line(arguments(images, tmp_path, "--config.deterministic=False"))
    assert state(tmp_path) == bits
