"""The files that a run writes while it trains: CSV tables and TensorBoard events."""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from absl import logging

from keras_prelu import on_use
from keras_prelu.analysis.slopes import layer_slopes, slopes
from keras_prelu.tables import write_csv
from keras_prelu.types import PathLike

__all__ = ["MetricsLog", "SlopesLog", "TableLog", "TensorBoardLog"]


class TableLog(keras.callbacks.Callback):
    """A table with rows for each epoch, in a CSV file that is always complete.

    Its rows are part of the run's state. A run that resumes continues from the rows in
    its checkpoint, so that no epoch is in the file twice.

    Args:
        path: The CSV file, or None to keep the rows in memory only, as all workers but
            the first do.

    Attributes:
        path: The CSV file, or None.
        rows: List of dicts.
    """

    def __init__(self, path: PathLike | None = None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows, and write the file again.

        A failure, for instance on a full disk, is logged. The next row writes all rows
        again.

        Args:
            rows: List of dicts with the same keys.
        """
        self.rows.extend(map(dict, rows))
        self._try_to_write()

    def get_state(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": self.rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Replace the rows with those of a checkpoint."""
        self.rows = state["rows"]
        self._try_to_write()

    def _try_to_write(self):
        try:
            self.write()
        except OSError as error:
            logging.error(
                "Could not write %s: %s. Training continues.", self.path, error
            )

    def write(self) -> None:
        """Write the file."""
        if self.path is None or not self.rows:
            return
        write_csv(self.path, self.rows, digits=7)


def _learning_rate(logs, model):
    """Return the rate that the epoch was trained with.

    Keras's schedules put it into the logs before they change it.
    """
    current = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return logs.get("learning_rate", current)


class MetricsLog(TableLog):
    """Writes the loss, errors and learning rate of each epoch to a CSV file.

    Args:
        path: The file, or None.

    Examples:
        >>> log = keras_prelu.callbacks.MetricsLog("metrics.csv")
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add the row of an epoch. Epochs are counted from 1."""
        logs = logs or {}
        rate = _learning_rate(logs, self.model)
        self.add([{"epoch": epoch + 1, **logs, "learning_rate": rate}])


class SlopesLog(TableLog):
    """Writes statistics of each layer's slopes to a CSV file: mean, std, min and max.

    Args:
        path: The file, or None.

    Examples:
        >>> log = keras_prelu.callbacks.SlopesLog("slopes.csv")

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), Table 1 (the slopes that a
        trained network has learned)
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row for each layer that has slopes."""
        self.add(
            [
                {
                    "epoch": epoch + 1,
                    "layer": row.name,
                    "mean": row.mean,
                    "std": row.std,
                    "min": row.min,
                    "max": row.max,
                }
                for row in slopes(self.model)
            ]
        )


class TensorBoardLog(keras.callbacks.Callback):
    """Writes metrics, learning rate and histograms of slopes for TensorBoard.

    Each epoch has its own event files. An epoch that is trained again after a resume
    replaces its earlier files, so that no curve has a point twice. If an epoch cannot
    be written, for instance on a full disk, the error is logged and training continues.

    Args:
        directory: The log directory that TensorBoard reads.

    Examples:
        >>> log = keras_prelu.callbacks.TensorBoardLog("tensorboard")
    """

    def __init__(self, directory: PathLike) -> None:
        super().__init__()
        on_use.imported("tensorflow", "keras_prelu.callbacks.TensorBoardLog")
        self.directory = pathlib.Path(directory)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the values of an epoch under its number, counted from 1."""
        import tensorflow as tf

        try:
            self._write(epoch + 1, logs or {})
        except (OSError, tf.errors.OpError) as error:
            logging.error(
                "Could not write epoch %d to %s: %s. Training continues.",
                epoch + 1,
                self.directory,
                str(error).splitlines()[0],
            )

    def _write(self, number, logs):
        import tensorflow as tf

        for file in self.directory.glob("*/events.*.epoch-*"):
            if int(file.name.rpartition("-")[2]) >= number:
                file.unlink()
        train = {k: v for k, v in logs.items() if not k.startswith("val_")}
        train["learning_rate"] = _learning_rate(logs, self.model)
        with self._writer("train", number):
            for name, value in train.items():
                tf.summary.scalar(name, value)
            for layer, values in layer_slopes(self.model).items():
                tf.summary.histogram(f"slopes/{layer}", values)
        with self._writer("validation", number):
            for name in logs.keys() - train.keys():
                tf.summary.scalar(name.removeprefix("val_"), logs[name])

    @contextlib.contextmanager
    def _writer(self, name, number):
        import tensorflow as tf

        writer = tf.summary.create_file_writer(
            str(self.directory / name), filename_suffix=f".epoch-{number:05d}"
        )
        with writer.as_default(step=number):
            yield
        writer.close()  # raises what could not be written; deleting it would not
