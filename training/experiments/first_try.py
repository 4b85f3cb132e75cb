"""The first thing that people try: a fresh net, `compile("sgd")`, and easy images.

    python -m training.experiments.first_try --output=training/results

Model A with the default learning rates of Keras's optimizers, and Adam with a tenth of
its own, on noise that has one of four colours, which a linear model can tell apart. The
losses of all epochs go to first_try.csv. A net learns if an epoch ends below half the
loss of guessing. The full setting takes about an hour on two cores, nearly all of it
for the full width at 224x224.
"""

import math

import keras
import numpy as np

from keras_prelu.applications import ModelA
from training.experiments.experiment import fill, program

COLORS = np.array([(200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 60)])
IMAGES, BATCH = 128, 16
EPOCHS = 6
OPTIMIZERS = {"sgd": (0.01,), "adam": (0.001, 0.0001)}


def colored_noise(count, side, seed=0):
    """Returns noise around one of four colours, uint8, and which of them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(COLORS)
    noise = rng.normal(0, 30, (count, side, side, 3))
    images = np.clip(COLORS[labels][:, None, None] + noise, 0, 255)
    return images.astype("uint8"), labels


def losses(optimizer, rate, width, side, epochs=EPOCHS):
    """Returns the loss of every epoch of a fresh net."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = ModelA(classes=len(COLORS), width=width, input_shape=(side, side, 3))
    chosen = keras.optimizers.get(optimizer)
    chosen.learning_rate = rate
    model.compile(chosen, "sparse_categorical_crossentropy")
    x, y = colored_noise(IMAGES, side)
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return history.history["loss"]


def verdict(curve):
    """Returns what became of a first try."""
    if not all(map(math.isfinite, curve)):
        return "diverges"
    learned = math.log(len(COLORS)) / 2
    if min(curve) > learned:
        return "does not learn"
    return "learns" if curve[-1] < learned else "learns, then loses it"


def run(experiment):
    """Trains and writes."""
    widths, sides = (
        ((1 / 16,), (32,)) if experiment.is_small else ((1 / 16, 1 / 4, 1), (96, 224))
    )

    def measure(cell):
        curve = losses(**cell)
        print(f"{cell}: {curve}", flush=True)
        shown = " ".join(f"{loss:.3g}" for loss in curve)
        return {"verdict": verdict(curve), "losses": shown}

    cells = [
        {"optimizer": optimizer, "rate": rate, "width": width, "side": side}
        for side in sides
        for width in widths
        for optimizer, rates in OPTIMIZERS.items()
        for rate in rates
    ]
    fill(experiment.output / "first_try.csv", cells, measure)


if __name__ == "__main__":
    program(run)
