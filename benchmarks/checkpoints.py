"""What saving costs: the share of the training time, at the default interval.

    python benchmarks/checkpoints.py

Trains the quickstart's net, and model A at a quarter of its width, on made-up batches
for a minute each, with `ExactResume` as it is by default.
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
    """Ends the training when its time is over."""

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self.end = time.monotonic() + SECONDS

    def on_train_batch_end(self, batch, logs=None):
        """Looks at it."""
        self.model.stop_training = time.monotonic() > self.end


def measure(width, size, batch_size):
    """Returns the size of a checkpoint, the number of saves and their share."""
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
    """Yield a row for each net."""
    for width, size, batch_size in ((1 / 16, 64, 64), (1 / 4, 64, 32)):
        megabytes, saves, share = measure(width, size, batch_size)
        net = f"model A, width {width:g}, {size}×{size}"
        yield net, f"{megabytes:.1f} MB", saves, f"{share:.2%}"


def main():
    """Print a row for each net."""
    print_table(("net", "checkpoint", "saves in a minute", "share of the time"), rows())


if __name__ == "__main__":
    main()
