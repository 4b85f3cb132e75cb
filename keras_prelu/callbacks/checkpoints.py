"""Checkpoints on disk: each one file, whole or absent, the newest few kept."""

import json
import pathlib
import re
import zipfile

import numpy as np
from absl import logging

from keras_prelu.files import PARTIAL, replacing

_STATE = "state.json"
# NumPy's files do not know the names of bfloat16 and other types of ml_dtypes.
_UNKNOWN_TO_NUMPY = "V"


class CheckpointError(ValueError):
    """There are checkpoints, but the run cannot go on from them."""


class Checkpoints:
    """A folder of checkpoints, each a file of arrays and of a small JSON state.

    A file is written aside, synced and renamed. It lists its arrays, and they carry
    checksums. So a process killed at any moment, a full disk or a damaged file costs at
    most the newest checkpoint.

    Args:
        directory: The folder. Made where it does not exist.
        keep: Integer, at least 1. How many of the newest to keep. Two, so that there is
            another one when the newest turns out to be torn.

    Examples:
        >>> checkpoints = Checkpoints("run/checkpoints")
        >>> path = checkpoints.save(7, {"kernel": np.ones(3)}, {"epoch": 1})
        >>> checkpoints.good_steps()
        [7]
        >>> arrays, state = checkpoints.load(7)
    """

    def __init__(self, directory, keep=2):
        if not isinstance(keep, int) or keep < 1:
            raise ValueError(
                f"`keep` must be an integer of at least 1. Received: keep={keep}"
            )
        self.directory = pathlib.Path(directory)
        self.keep = keep
        self.directory.mkdir(parents=True, exist_ok=True)
        for partial in self.directory.glob(f"{PARTIAL}*"):
            partial.unlink()  # of a process that was killed while it wrote

    def _path(self, step):
        return self.directory / f"step-{step:09d}.npz"

    def _steps(self):
        matches = (
            re.fullmatch(r"step-(\d{9,})\.npz", path.name)
            for path in self.directory.iterdir()
        )
        return sorted(int(match[1]) for match in matches if match)

    def save(self, step, arrays, state):
        """Writes a checkpoint, then drops those that are too many.

        Args:
            step: Integer. The step's number, under which it is found again.
            arrays: Dict from names to NumPy arrays.
            state: What `json` can write.

        Returns:
            The file's path.
        """
        dtypes = {name: str(array.dtype) for name, array in arrays.items()}
        text = json.dumps({"dtypes": dtypes, "state": state})
        text = np.frombuffer(text.encode(), np.uint8)
        with replacing(self._path(step)) as aside, aside.open("wb") as file:
            np.savez(file, **arrays, **{_STATE: text})
        for old in self._steps()[: -self.keep]:
            self._path(old).unlink()
        return self._path(step)

    def good_steps(self):
        """Returns the steps, in order, whose checkpoints are whole.

        Raises:
            CheckpointError: There are checkpoints, but none is whole. To begin again
                without a word would lose a run that somebody may be able to repair.
        """
        good, steps = [], self._steps()
        for step in steps:
            flaw = _flaw(self._path(step))
            if flaw is None:
                good.append(step)
            else:
                logging.warning("Damaged checkpoint %s: %s", self._path(step), flaw)
        if steps and not good:
            raise CheckpointError(
                "At least one checkpoint should be whole: repair or delete them. "
                f"Received: {', '.join(str(self._path(step)) for step in steps)}"
            )
        return good

    def load(self, step):
        """Returns the arrays and the state saved at a step."""
        with np.load(self._path(step), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        dtypes, state = _described(arrays.pop(_STATE))
        for name, array in arrays.items():
            if array.dtype.kind == _UNKNOWN_TO_NUMPY:
                arrays[name] = array.view(dtypes[name])
        return arrays, state

    def state(self, step):
        """Returns the state saved at a step, without reading the arrays."""
        with np.load(self._path(step), allow_pickle=False) as archive:
            return _described(archive[_STATE])[1]

    def drop_after(self, step):
        """Deletes the checkpoints of later steps, which are to be trained again."""
        for later in self._steps():
            if later > step:
                self._path(later).unlink()


def _described(text):
    """Returns the type of each array, and the state, from the text beside them."""
    content = json.loads(text.tobytes())
    return content["dtypes"], content["state"]


def _flaw(path):
    """Returns what is wrong with a checkpoint, or None where it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # reads everything, compares the checksums
        if damaged:
            return f"{damaged} has another checksum"
        with np.load(path, allow_pickle=False) as archive:
            dtypes, _ = _described(archive[_STATE])
            missing = {*dtypes, _STATE} ^ {*archive.files}
        return (
            f"{', '.join(sorted(missing))} is missing or too much" if missing else None
        )
    except Exception as error:  # damaged bytes raise errors of any kind
        return f"{type(error).__name__}: {error}"
