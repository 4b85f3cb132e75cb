"""Tests that each row of a table describes its own epoch."""

import csv

import keras
import pytest
import tensorflow as tf
from small_run import STEPS, batches_from, make_model, make_validation

from keras_prelu import callbacks

pytestmark = pytest.mark.tensorflow_only


class RatesUsed(keras.callbacks.Callback):
    """Keeps the learning rate of the last step of each epoch."""

    def __init__(self):
        super().__init__()
        self.by_epoch = []

    def on_train_batch_end(self, batch, logs=None):
        if batch == STEPS - 1:
            self.by_epoch.append(float(self.model.optimizer.learning_rate))


def plateau():
    return callbacks.PlateauSchedule(
        monitor="val_loss", patience=1, min_delta=9.0, min_lr=1e-5
    )


def fixed():
    return keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.05 * 0.5**epoch)


@pytest.mark.parametrize(
    ("schedule", "second", "third"), [(plateau, 0.05, 0.005), (fixed, 0.025, 0.0125)]
)
@pytest.mark.parametrize("schedule_is_first", [True, False])
def test_the_learning_rate_of_a_row_is_the_one_its_epoch_used(
    schedule, second, third, schedule_is_first, tmp_path
):
    used = RatesUsed()
    table = callbacks.MetricsLog(tmp_path / "metrics.csv")
    board = callbacks.TensorBoardLog(tmp_path / "tensorboard")
    followed = [table, board]
    followed.insert(0 if schedule_is_first else 2, schedule())
    make_model(learning_rate=0.05).fit(
        batches_from(0),
        steps_per_epoch=STEPS,
        epochs=3,
        validation_data=make_validation(),
        callbacks=[used, *followed],
        verbose=0,
    )
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == pytest.approx(used.by_epoch)
    assert rates[1:] == pytest.approx([second, third])
    assert curve(tmp_path / "tensorboard" / "train") == pytest.approx(used.by_epoch)


def curve(folder):
    """Return the learning rates that TensorBoard would draw."""
    return [
        tf.make_ndarray(value.tensor).item()
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix)
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "learning_rate"
    ]
