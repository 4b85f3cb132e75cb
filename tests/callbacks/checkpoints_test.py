"""Tests that any damage to a checkpoint is noticed."""

import shutil
import zipfile

import ml_dtypes
import numpy as np
import pytest
from small_run import run

from keras_prelu.callbacks import CheckpointError, Checkpoints

ARRAYS = {
    "kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "seed": np.array([7, 9], "uint32"),
    "half": np.array([0.5, -3.0], ml_dtypes.bfloat16),
}
STATE = {"epoch": 3, "rows": [{"loss": 0.1}]}


@pytest.fixture
def pair(tmp_path):
    """Save an older and a newer checkpoint; return the folder and the newer file."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, ARRAYS, {"epoch": 2})
    return checkpoints, checkpoints.save(2, ARRAYS, STATE)


def content(checkpoints, step):
    arrays, state = checkpoints.load(step)
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}, state


def test_loads_what_was_saved(pair):
    arrays, state = content(pair[0], 2)
    expected = {name: (a.dtype, a.shape, a.tobytes()) for name, a in ARRAYS.items()}
    assert (arrays, state) == (expected, STATE)


def damaged(data):
    """Yield files with one flipped bit, at least one per byte, and cut-off files."""
    for bit in range(0, 8 * len(data), 7):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield flipped
    for length in range(0, len(data), 9):
        yield data[:length]


def test_any_flipped_bit_and_any_cut_falls_back_to_the_older_checkpoint(
    pair, monkeypatch
):
    checkpoints, newest = pair
    monkeypatch.setattr("absl.logging.warning", lambda *args: None)
    whole = content(checkpoints, 2)
    refused = 0
    for data in damaged(newest.read_bytes()):
        newest.write_bytes(data)
        good = checkpoints.good_steps()
        if good == [1]:
            refused += 1
        else:  # a bit without effect, for instance in the file's date
            assert good == [1, 2]
            assert content(checkpoints, 2) == whole
    assert refused > 1000


def rewrite(path, change):
    """Change the arrays of a file, and keep its checksums right."""
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def test_a_missing_array_is_damage(pair):
    checkpoints, newest = pair
    rewrite(newest, lambda arrays: arrays.pop("seed"))
    assert zipfile.ZipFile(newest).testzip() is None
    assert checkpoints.good_steps() == [1]


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("model-1"), "model-1 is missing"),
        (
            lambda arrays: arrays.update({"model-99": np.ones(3)}),
            "model-99 is unknown",
        ),
        (
            lambda arrays: arrays.update({"model-0": arrays["model-0"].T}),
            r"kernel must have the shape \(6, 16\).*Received: shape=\(16, 6\)",
        ),
        (
            lambda arrays: arrays.update({"model-0": arrays["model-0"].astype("f8")}),
            "the dtype float32. Received: .*dtype=float64",
        ),
    ],
)
def test_arrays_of_another_model_are_refused(change, message, tmp_path):
    _, resume = run(tmp_path)
    arrays, state = resume.checkpoints.load(resume.step)
    change(arrays)
    shutil.rmtree(tmp_path / "checkpoints")
    Checkpoints(tmp_path / "checkpoints").save(resume.step, arrays, state)
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path)
