"""The folder of a training run: its lock, its configuration and its model."""

import json
import pathlib
import shlex

import keras

from keras_prelu.data import differences
from keras_prelu.files import replacing
from keras_prelu.platforms import lock


class InUseError(OSError):
    """Another process uses the folder."""


class Workdir:
    """The folder of one run, locked against other processes.

    Args:
        path: The folder; it is created if it does not exist.
        worker: Integer, the number of this process among the workers. Worker 0 writes
            all files; the others write only their checkpoints.
    """

    def __init__(self, path, worker=0):
        refuse_empty("workdir", path)
        self.path = pathlib.Path(path)
        self.worker = worker
        self.is_chief = worker == 0
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / f".lock-{worker}").open("a")
        except OSError as error:
            raise OSError(
                "Argument `workdir` must be a folder that can be written "
                f"({error.strerror}). Received: workdir={path}"
            ) from error
        try:
            lock(self._lock)
        except BlockingIOError as error:
            raise InUseError(
                "Argument `workdir` must not be in use by another process. "
                f"Received: workdir={path}"
            ) from error

    @property
    def checkpoints(self):
        """The folder of this worker's checkpoints."""
        folder = self.path / "checkpoints"
        return folder if self.is_chief else folder / f"worker-{self.worker}"

    def log(self, name):
        """Return the path of a file that only worker 0 writes, `None` on others."""
        return self.path / name if self.is_chief else None

    def compare(self, config, command, data=None):
        """Refuse what differs from an earlier run. `keep` writes it for a new one.

        Args:
            config: The configuration, a dict that `json` can write.
            command: The command line, a list of strings; it goes to command.txt.
            data: The fingerprints of the data, a dict; `None` if they are not compared.
        """
        self._files = {"config.json": config} | ({"data.json": data} if data else {})
        for name, present in self._files.items():
            _refuse_another(self.path / name, present)
        self._command = shlex.join(command)

    def claim(self, config, command):
        """Write what identifies a new run, or refuse what differs from an earlier one.

        Args:
            config: See `compare`.
            command: See `compare`.
        """
        self.compare(config, command)
        if not any((self.path / "checkpoints").rglob("step-*.npz")):
            self.keep()
        # If there are checkpoints, they contain the files that are missing here, and
        # are compared when the run is resumed.

    def keep(self):
        """Write what identifies the run, except for files that exist."""
        texts = {
            name: json.dumps(content, indent=2, sort_keys=True)
            for name, content in self._files.items()
        }
        for name, text in {"command.txt": self._command, **texts}.items():
            if self.is_chief and not (self.path / name).exists():
                with replacing(self.path / name) as aside:
                    aside.write_text(text + "\n")


def refuse_empty(name, path):
    """Raise an error if a path is empty: often a shell variable that is not set.

    Args:
        name: The name of the argument.
        path: Its value, a string, a `pathlib.Path` or `None`.
    """
    if path == "":
        raise ValueError(f"Argument `{name}` must be a path. Received: {name}=")


def read_config(workdir):
    """Return the configuration of a run, as a dict."""
    return _read_json(_file_of("a run", workdir, "config.json"))


def read_classifier_config(workdir):
    """Return the configuration of a run that trained a classifier, as a dict."""
    config = read_config(workdir)
    if "detection" in config:
        raise ValueError(
            "Argument `workdir` must be the folder of a run that trained a classifier. "
            f"Received: workdir={workdir}, which trained a detector"
        )
    return config


def read_detector_config(workdir):
    """Return the configuration of a run that trained a detector, as a dict."""
    config = read_config(workdir)
    if "detection" not in config:
        raise ValueError(
            "Argument `--workdir` must be the folder of a detector's run, not of a "
            f"classifier's. Received: --workdir={workdir}"
        )
    return config


def data_name(config, split):
    """Return the name of a split of a run's data, for people to read.

    Args:
        config: The part `data` of the run's configuration.
        split: The name of the split.
    """
    return f"{config['path'] or config['name']} {split}"


def read_class_names(workdir):
    """Return the names of the classes of a run, in the order of its labels."""
    return _read_json(_file_of("a run", workdir, "data.json"))["train"]["class_names"]


def kept_class_names(workdir):
    """Return the names of the classes of a run, or `None` if it has no data.json.

    The runs of the experiments have none.
    """
    is_kept = pathlib.Path(workdir, "data.json").is_file()
    return read_class_names(workdir) if is_kept else None


def refuse_other_classes(workdir, class_names, argument, received):
    """Raise an error if images have other classes than a run, or in another order.

    A run without data.json takes all classes.

    Args:
        workdir: The folder of the run.
        class_names: Names of the classes of the images.
        argument: The name of the argument that chooses the images.
        received: The start of a sentence for the message, up to the verb.
    """
    trained = kept_class_names(workdir) or class_names
    changes = differences({"class_names": trained}, {"class_names": class_names})
    if changes:
        raise ValueError(
            f"Argument `{argument}` must have the classes of the run {workdir}. "
            f"Received: {received} other {changes[0]}"
        )


def load_model(workdir):
    """Return the trained model of a run."""
    path = _file_of("a finished run", workdir, "model.keras")
    return keras.saving.load_model(path, compile=False)


def _file_of(run, workdir, name):
    path = pathlib.Path(workdir, name)
    if not path.is_file():
        raise ValueError(
            f"Argument `workdir` must be the folder of {run}, with its {name} in it. "
            f"Received: workdir={workdir}"
        )
    return path


def _read_json(path):
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
    changed = differences(_read_json(path), json.loads(json.dumps(present)))
    if changed:
        raise ValueError(
            "Argument `workdir` must be a new folder, or hold a run with the same "
            f"configuration and data. Received: {path}, which differs: "
            f"{'; '.join(changed)}"
        )
