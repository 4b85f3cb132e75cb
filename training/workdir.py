"""A run's folder: made, locked against a second process, tied to one configuration."""

import json
import pathlib
import shlex

from keras_prelu.data import differences
from keras_prelu.files import replacing
from keras_prelu.platforms import lock


class InUseError(OSError):
    """Another process is at work in the folder."""


class Workdir:
    """The folder of one run.

    Args:
        path: Where it is, or is to be.
        worker: Integer. This process's number among the workers; the first writes all
            but the others' checkpoints.
    """

    def __init__(self, path, worker=0):
        self.path = pathlib.Path(path)
        self.worker = worker
        self.is_chief = worker == 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / f".lock-{worker}").open("a")
        except OSError as error:
            raise OSError(
                f"`workdir` must be a folder that can be written ({error.strerror}). "
                f"Received: workdir={path}"
            ) from error
        try:
            lock(self._lock)
        except BlockingIOError as error:
            raise InUseError(
                "`workdir` must not be in use by another process. "
                f"Received: workdir={path}"
            ) from error

    @property
    def checkpoints(self):
        """The folder of this worker's checkpoints."""
        folder = self.path / "checkpoints"
        return folder if self.is_chief else folder / f"worker-{self.worker}"

    def log(self, name):
        """Returns the path of a file that the first worker writes, None for others."""
        return self.path / name if self.is_chief else None

    def claim(self, config, command, data=None):
        """Keeps what describes a new run; refuses what does not fit an earlier one.

        Args:
            config: Dict that `json` can write.
            command: List of strings, the command line; kept in command.txt.
            data: Dict of fingerprints of the data, or None where nobody compares them.
        """
        self._files = {"config.json": config} | ({"data.json": data} if data else {})
        for name, present in self._files.items():
            _refuse_another(self.path / name, present)
        self._command = shlex.join(command)
        if not any((self.path / "checkpoints").rglob("step-*.npz")):
            self.keep()
        # Otherwise what is missing here is in the checkpoints, and is compared there.

    def keep(self):
        """Writes what describes the run, unless it is there or another worker does."""
        texts = {
            name: json.dumps(content, indent=2, sort_keys=True)
            for name, content in self._files.items()
        }
        for name, text in {"command.txt": self._command, **texts}.items():
            if self.is_chief and not (self.path / name).exists():
                with replacing(self.path / name) as aside:
                    aside.write_text(text + "\n")


def read_json(path):
    """Returns the dict in a JSON file of a run."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} must be a JSON file, as a run writes it. Received: {error}"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must hold a JSON object, as a run writes it. Received: {content!r}"
        )
    return content


def _refuse_another(path, present):
    if not path.exists():
        return
    changed = differences(read_json(path), json.loads(json.dumps(present)))
    if changed:
        raise ValueError(
            f"The run must go on as it began, by {path}; begin another run in another "
            f"folder. Received: {'; '.join(changed)}"
        )
