"""A run's folder: made, locked against a second process, tied to one configuration."""

import json
import pathlib
import shlex

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

    def claim(self, config, command):
        """Writes the configuration of a new run; refuses another than the run's.

        Args:
            config: Dict that `json` can write.
            command: List of strings, the command line; kept in command.txt.
        """
        path = self.path / "config.json"
        text = json.dumps(config, indent=2, sort_keys=True)
        if path.exists():
            differences = _differences(json.loads(path.read_text()), json.loads(text))
            if differences:
                raise ValueError(
                    "The configuration must be that of the run in `workdir`; begin "
                    f"another run in another folder. Received: {'; '.join(differences)}"
                )
        elif self.is_chief:
            with replacing(self.path / "command.txt") as aside:
                aside.write_text(shlex.join(command) + "\n")
            with replacing(path) as aside:
                aside.write_text(text + "\n")


def _differences(old, new, prefix=""):
    """What differs between two nested dicts, a line a key."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            lines += _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            lines.append(f"{prefix}{key}={now!r} where the run has {before!r}")
    return lines
