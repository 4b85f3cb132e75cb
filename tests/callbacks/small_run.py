"""A small run with everything that a resume must restore."""

import keras
import numpy as np
import tensorflow as tf

from keras_prelu import callbacks
from keras_prelu.data.pipeline_options import stream_options
from keras_prelu.optimizers import SGD

EPOCHS, STEPS, BATCH = 4, 5, 8
ALWAYS = {"seconds": 0.0, "fraction": 1.0}
SELDOM = {"seconds": 1e9}


@keras.saving.register_keras_serializable("keras_prelu_tests")
class Slopes(keras.layers.Layer):
    """A minimal PReLU with a weight `alpha`."""

    def build(self, input_shape):
        self.alpha = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", name="alpha"
        )

    def call(self, inputs):
        return keras.ops.where(inputs > 0, inputs, self.alpha * inputs)


def make_model(learning_rate=0.05, units=16):
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units, name="fc1"),
            Slopes(name="prelu1"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax", name="fc2"),
        ]
    )
    model.compile(
        SGD(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def batches_from(step):
    """Return batches that depend on their step's number only, like ours."""

    def batch(number):
        seed = tf.stack([number, 0])
        x = tf.random.stateless_normal((BATCH, 6), seed)
        y = tf.cast(tf.reduce_sum(x, axis=1) > 0, tf.int32)
        return x, y

    # TensorFlow's tuning thread could keep an iterator from ending.
    endless = tf.data.Dataset.counter(start=step).map(batch)
    return endless.with_options(stream_options())


def make_validation():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, 6)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, (x.sum(1) > 0).astype("int32")))
    return data.batch(BATCH).with_options(stream_options())


def run(workdir, extra=(), model=None, train=batches_from, **resume):
    """Train or resume in a folder; return the model and the `ExactResume`."""
    workdir.mkdir(exist_ok=True)
    model = model or make_model()
    schedule = callbacks.PlateauSchedule(
        monitor="val_loss", patience=1, min_delta=0.2, min_lr=1e-5
    )
    followed = [
        schedule,
        callbacks.MetricsLog(workdir / "metrics.csv"),
        callbacks.SlopesLog(workdir / "slopes.csv"),
        callbacks.TensorBoardLog(workdir / "tensorboard"),
    ]
    keeper = callbacks.ExactResume(workdir / "checkpoints", **resume)
    callbacks.resumable_fit(
        model,
        train,
        EPOCHS,
        STEPS,
        keeper,
        [*extra, *followed],
        validation_data=make_validation(),
    )
    return model, keeper


def variables(model):
    """Return the bytes of all variables of a model and of its optimizer."""
    owned = [*model.variables, *model.optimizer.variables]
    return [variable.numpy().tobytes() for variable in owned]


def bits(model, workdir):
    """Return everything that must be equal: variables, tables, points of curves."""
    events = (workdir / "tensorboard").glob("*/events*")
    return {
        "variables": variables(model),
        "metrics": (workdir / "metrics.csv").read_text(),
        "slopes": (workdir / "slopes.csv").read_text(),
        "events": sorted((e.parent.name, e.suffix) for e in events),
    }
