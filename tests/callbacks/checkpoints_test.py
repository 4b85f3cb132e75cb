"""A damaged checkpoint is told from a whole one, whatever is wrong with it."""

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
    """An older checkpoint and a newer one, and the newer one's file."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, ARRAYS, {"epoch": 2})
    return checkpoints, checkpoints.save(2, ARRAYS, STATE)


def content(checkpoints, step):
    arrays, state = checkpoints.load(step)
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}, state


def test_gives_back_what_was_saved(pair):
    arrays, state = content(pair[0], 2)
    wanted = {name: (a.dtype, a.shape, a.tobytes()) for name, a in ARRAYS.items()}
    assert (arrays, state) == (wanted, STATE)


def damaged(data):
    """Files with one flipped bit, at least one for every byte, and cut-off files."""
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
        else:  # a bit that means nothing, for instance of the file's date
            assert good == [1, 2]
            assert content(checkpoints, 2) == whole
    assert refused > 1000


def rewrite(path, change):
    """Changes the arrays of a file, whose checksums stay right."""
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
            "model-99 is too much",
        ),
        (
            lambda arrays: arrays.update({"model-0": arrays["model-0"].T}),
            r"kernel should have the shape \(6, 16\).*Received: shape=\(16, 6\)",
        ),
        (
            lambda arrays: arrays.update({"model-0": arrays["model-0"].astype("f8")}),
            "the dtype float32. Received: .*dtype=float64",
        ),
    ],
)
def test_arrays_that_are_not_the_models_are_refused_before_any_is_taken(
    change, message, tmp_path
):
    _, resume = run(tmp_path)
    arrays, state = resume.checkpoints.load(resume.step)
    change(arrays)
    shutil.rmtree(tmp_path / "checkpoints")
    Checkpoints(tmp_path / "checkpoints").save(resume.step, arrays, state)
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path)
