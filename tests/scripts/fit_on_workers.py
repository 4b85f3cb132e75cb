"""Fits a small model on several workers, with the chosen repairs of Keras."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_prelu import distribution, keras_repairs


def main(repairs):
    if repairs == "all":
        strategy = distribution.strategy("multi_worker")
    else:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        if repairs == "build":
            keras_repairs.apply(strategy)
            stock = keras_repairs.stock()
            stock.trainer.reduce_per_replica = stock.reduce
    keras.utils.set_random_seed(3)
    with strategy.scope():
        dense = keras.layers.Dense(2, use_bias=False)
        model = keras.Sequential([keras.Input((4,)), dense])
        model.compile("sgd", loss="mse", metrics=["mae"])
    # The two halves of a global batch differ, and so do the workers' own metrics.
    x = np.arange(64, dtype="float32").reshape(16, 4) / 64
    batches = tf.data.Dataset.from_tensor_slices((x, x[:, :2])).batch(8)
    history = model.fit(batches, validation_data=batches, verbose=0)
    report = {
        "worker": distribution.worker(strategy),
        "metrics": {name: values[0] for name, values in history.history.items()},
        "kernel": model.get_weights()[0].tolist(),
    }
    print(json.dumps(report))


main(sys.argv[1])
