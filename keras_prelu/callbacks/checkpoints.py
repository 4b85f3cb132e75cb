"""Checkpoints on disk: one file each, complete or absent."""

import json
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from keras_prelu.files import PARTIAL, replacing
from keras_prelu.number_checks import check_integer
from keras_prelu.types import PathLike

__all__ = ["CheckpointError", "Checkpoints", "prefixed", "unprefixed"]

_STATE = "state.json"
# NumPy's files lose the names of bfloat16 and the other types of ml_dtypes.
_UNKNOWN_TO_NUMPY = "V"


class CheckpointError(ValueError):
    """There are checkpoints, but the run cannot resume from them."""


class Checkpoints:
    """A folder of checkpoints, each a file with arrays and a small JSON state.

    A file is written under a temporary name, synced and renamed. It lists its arrays,
    which have checksums. So a process killed at any moment, a full disk or a damaged
    file costs at most the newest checkpoint.

    Args:
        directory: The folder, which is created if it does not exist.
        keep: Integer, at least 1. The number of newest checkpoints to keep. With the
            default of two, one is left if the newest turns out to be damaged.

    Examples:
        >>> checkpoints = Checkpoints("run/checkpoints")
        >>> path = checkpoints.save(7, {"kernel": np.ones(3)}, {"epoch": 1})
        >>> checkpoints.good_steps()
        [7]
        >>> arrays, state = checkpoints.load(7)
    """

    def __init__(self, directory: PathLike, keep: int = 2) -> None:
        check_integer("keep", keep, 1)
        self.directory = pathlib.Path(directory)
        self.keep = keep
        self.directory.mkdir(parents=True, exist_ok=True)
        for partial in self.directory.glob(f"{PARTIAL}*"):
            partial.unlink()  # from a process that was killed while it wrote

    def _path(self, step):
        return self.directory / f"step-{step:09d}.npz"

    def _steps(self):
        matches = (
            re.fullmatch(r"step-(\d{9,})\.npz", path.name)
            for path in self.directory.iterdir()
        )
        return sorted(int(match[1]) for match in matches if match)

    def save(
        self, step: int, arrays: Mapping[str, np.ndarray], state: Any
    ) -> pathlib.Path:
        """Write a checkpoint, then delete the oldest beyond `keep`.

        Args:
            step: Integer. The number of the step.
            arrays: Dict from names to NumPy arrays.
            state: A value that `json` can write.

        Returns:
            The file's path.
        """
        dtypes = {name: str(array.dtype) for name, array in arrays.items()}
        text = json.dumps({"dtypes": dtypes, "state": state}).encode()
        content = {**arrays, _STATE: np.frombuffer(text, np.uint8)}
        with replacing(self._path(step)) as aside, aside.open("wb") as file:
            np.savez(file, **content)  # type: ignore[arg-type]
        for old in self._steps()[: -self.keep]:
            self._path(old).unlink()
        return self._path(step)

    def good_steps(self) -> list[int]:
        """Return the steps, in order, whose checkpoints are undamaged.

        Raises:
            CheckpointError: All checkpoints are damaged. To begin again in silence
                would lose a run that somebody may be able to repair.
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
                "At least one checkpoint must be undamaged: repair or delete them. "
                f"Received: {', '.join(str(self._path(step)) for step in steps)}"
            )
        return good

    def load(self, step: int) -> tuple[dict[str, np.ndarray], Any]:
        """Return the arrays and the state saved at a step."""
        with np.load(self._path(step), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        dtypes, state = _described(arrays.pop(_STATE))
        for name, array in arrays.items():
            if array.dtype.kind == _UNKNOWN_TO_NUMPY:
                arrays[name] = array.view(dtypes[name])
        return arrays, state

    def state(self, step: int) -> Any:
        """Return the state saved at a step, without reading the arrays."""
        with np.load(self._path(step), allow_pickle=False) as archive:
            return _described(archive[_STATE])[1]

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which will be trained again."""
        for later in self._steps():
            if later > step:
                self._path(later).unlink()


def prefixed(owner: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays under names that no other owner's arrays have.

    Args:
        owner: String, the name of the owner.
        arrays: Dict from names to arrays.

    Examples:
        >>> prefixed("best", {"0": np.ones(1)})
        {'best/0': array([1.])}
    """
    return {f"{owner}/{name}": array for name, array in arrays.items()}


def unprefixed(owner: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return those arrays that `prefixed` has named for an owner, as they were.

    Args:
        owner: String, the name of the owner.
        arrays: Dict from names to arrays of all owners.
    """
    start = f"{owner}/"
    return {
        name.removeprefix(start): array
        for name, array in arrays.items()
        if name.startswith(start)
    }


def _described(text):
    """Return the dtype of each array, and the state, from a checkpoint's JSON text."""
    content = json.loads(text.tobytes())
    return content["dtypes"], content["state"]


def _flaw(path):
    """Return what is wrong with a checkpoint, or None if nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # reads everything, compares the checksums
        if damaged:
            return f"{damaged} has a wrong checksum"
        with np.load(path, allow_pickle=False) as archive:
            dtypes, _ = _described(archive[_STATE])
            different = sorted({*dtypes, _STATE} ^ {*archive.files})
        names = ", ".join(different)
        return f"missing or unknown arrays: {names}" if different else None
    except Exception as error:  # damaged bytes raise errors of any kind
        return f"{type(error).__name__}: {error}"
