"""What a run writes while it trains: tables of metrics and slopes, TensorBoard."""

import contextlib
import pathlib

import keras
from absl import logging

from keras_prelu import on_use
from keras_prelu.analysis.slopes import layer_slopes, slopes
from keras_prelu.tables import write_csv


class TableLog(keras.callbacks.Callback):
    """A table with rows for each epoch, which is a file at all times.

    Its rows are part of the run's state: a run that resumes goes on from the rows of
    its checkpoint, so that no epoch stands in the file twice.

    Args:
        path: The CSV file, or None to keep the rows in memory (`rows`) only, as all
            workers but the first do.
    """

    def __init__(self, path=None):
        super().__init__()
        self.path = path
        self.rows = []

    def add(self, rows):
        """Appends rows, dicts of the same keys, and writes the file anew.

        Where that fails, for instance on a full disk, it is logged: the next row writes
        all of them again.
        """
        self.rows.extend(rows)
        self._try_to_write()

    def get_state(self):
        """Returns the rows so far."""
        return {"rows": self.rows}

    def set_state(self, state):
        """Takes up the rows of a checkpoint, in place of those in the file."""
        self.rows = state["rows"]
        self._try_to_write()

    def _try_to_write(self):
        try:
            self.write()
        except OSError as error:
            logging.error("Could not write %s: %s. Training goes on.", self.path, error)

    def write(self):
        """Writes the file anew."""
        if self.path is None or not self.rows:
            return
        write_csv(self.path, self.rows, digits=7)


def _learning_rate(logs, model):
    """The rate that the epoch was trained with.

    Keras's schedules put it into the logs before they change it.
    """
    now = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return logs.get("learning_rate", now)


class MetricsLog(TableLog):
    """Writes an epoch's loss, errors and the learning rate it used to a CSV file.

    Args:
        path: The file, or None.

    Examples:
        >>> log = keras_prelu.callbacks.MetricsLog("metrics.csv")
    """

    def on_epoch_end(self, epoch, logs=None):
        """Adds the epoch's row; epochs are counted from 1."""
        rate = _learning_rate(logs, self.model)
        self.add([{"epoch": epoch + 1, **logs, "learning_rate": rate}])


class SlopesLog(TableLog):
    """Writes the mean, spread and range of each layer's slopes to a CSV file.

    Args:
        path: The file, or None.

    Examples:
        >>> log = keras_prelu.callbacks.SlopesLog("slopes.csv")

    Reference:

    - [Delving Deep into Rectifiers](https://arxiv.org/abs/1502.01852), table 1 (the
      slopes that a trained net has learned).
    """

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row for each layer that has slopes."""
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
    """Writes curves, learning rate and histograms of slopes for TensorBoard.

    Each epoch has its own event files. An epoch that is trained again after a resume
    replaces those of the first time, so that no curve has a point twice. An epoch that
    cannot be written, for instance on a full disk, is logged, and training goes on.

    Args:
        directory: The folder to point TensorBoard at.

    Examples:
        >>> log = keras_prelu.callbacks.TensorBoardLog("tensorboard")
    """

    def __init__(self, directory):
        super().__init__()
        on_use.imported("tensorflow", "keras_prelu.callbacks.TensorBoardLog")
        self.directory = pathlib.Path(directory)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's values under its number, counted from 1."""
        import tensorflow as tf

        try:
            self._write(epoch + 1, logs)
        except (OSError, tf.errors.OpError) as error:
            logging.error(
                "Could not write epoch %d to %s: %s. Training goes on.",
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
        writer.close()  # says what could not be written, as its end would not
