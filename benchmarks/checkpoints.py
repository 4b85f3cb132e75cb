"""Measure the fraction of the training time that checkpoints take.

    python benchmarks/checkpoints.py

Trains the quickstart's network, and model A at a quarter of its width, on random images
for a minute each, with the default settings of `ExactResume`.
"""

import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from _measure import print_table

from keras_prelu import applications, callbacks
from keras_prelu.optimizers import SGD

SECONDS = 60


class StopAfter(keras.callbacks.Callback):
    """Ends the training after SECONDS."""

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self.end = time.monotonic() + SECONDS

    def on_train_batch_end(self, batch, logs=None):
        """Stop when the time is over."""
        self.model.stop_training = time.monotonic() > self.end


def measure(width, size, batch_size):
    """Return a checkpoint's size, the saves and their fraction of the time."""
    model = applications.ModelA(
        width=width, classes=16, input_shape=(size, size, 3), dropout=0.0
    )
    model.compile(SGD(1e-6, weight_decay=0.0), loss="sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (batch_size, size, size, 3)).astype("float32")
    batch = tf.data.Dataset.from_tensors((images, np.arange(batch_size) % 16))
    with tempfile.TemporaryDirectory() as folder:
        resume = callbacks.ExactResume(folder)
        saves = []
        save = resume.save
        resume.save = lambda: (saves.append(None), save())
        began = time.monotonic()
        callbacks.resumable_fit(
            model, batch.repeat().skip, 1, 10**6, resume, [StopAfter()]
        )
        seconds = time.monotonic() - began
        newest = max(resume.checkpoints.directory.iterdir())
        megabytes = newest.stat().st_size / 1e6
    return megabytes, len(saves), resume.seconds_saving / seconds


def rows():
    """Yield one row per network."""
    for width, size, batch_size in ((1 / 16, 64, 64), (1 / 4, 64, 32)):
        megabytes, saves, fraction = measure(width, size, batch_size)
        net = f"model A, width {width:g}, {size}×{size}"
        yield net, f"{megabytes:.1f} MB", saves, f"{fraction:.2%}"


def main():
    """Print one row per network."""
    header = ("Network", "Checkpoint", "Saves per minute", "Fraction of the time")
    print_table(header, rows())


if __name__ == "__main__":
    main()
