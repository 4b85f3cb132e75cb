"""A new user's first try: a new network, `compile("sgd")`, and easy images.

    python -m training.experiments.first_try --output=training/results

Trains model A with the default learning rates of Keras's optimizers, and with a tenth
of Adam's, on noise in one of four colors, which a linear model can classify. Writes
the losses of all epochs to first_try.csv, for three seeds, or one at full width. A
network learns if its loss falls below half the loss of guessing. The full setting takes
about two hours on two cores, one of them for the full width at 224x224.
"""

import math

import keras
import numpy as np

from keras_prelu.applications import ModelA
from training.experiments.experiment import fill, program

COLORS = np.array([(200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 60)])
IMAGES, BATCH = 128, 16
EPOCHS = 12
OPTIMIZERS = {"sgd": (0.01,), "adam": (0.001, 0.0001)}


def colored_noise(count, side):
    """Return uint8 images of noise around one of four colors, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % len(COLORS)
    noise = rng.normal(0, 30, (count, side, side, 3))
    images = np.clip(COLORS[labels][:, None, None] + noise, 0, 255)
    return images.astype("uint8"), labels


def losses(optimizer, rate, width, side, seed, epochs=EPOCHS):
    """Return the loss of each epoch of a new network."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = ModelA(classes=len(COLORS), width=width, input_shape=(side, side, 3))
    chosen = keras.optimizers.get(optimizer)
    chosen.learning_rate = rate
    model.compile(chosen, "sparse_categorical_crossentropy")
    x, y = colored_noise(IMAGES, side)
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return history.history["loss"]


def verdict(curve):
    """Return in words how a first try ended."""
    if not all(map(math.isfinite, curve)):
        return "diverges"
    learned = math.log(len(COLORS)) / 2
    if min(curve) > learned:
        return "does not learn"
    return "learns" if curve[-1] < learned else "learns, then loses it"


def run(experiment):
    """Train and write the table."""
    widths, sides = (
        ((1 / 16,), (32,)) if experiment.is_small else ((1 / 16, 1 / 4, 1), (96, 224))
    )

    def measure(cell):
        curve = losses(**cell)
        print(f"{cell}: {curve}", flush=True)
        shown = " ".join(f"{loss:.3g}" for loss in curve)
        return {"verdict": verdict(curve), "losses": shown}

    cells = [
        {
            "optimizer": optimizer,
            "rate": rate,
            "width": width,
            "side": side,
            "seed": seed,
        }
        for side in sides
        for width in widths
        for optimizer, rates in OPTIMIZERS.items()
        for rate in rates
        for seed in range(1 if width == 1 or experiment.is_small else 3)
    ]
    fill(experiment.output / "first_try.csv", cells, measure)


if __name__ == "__main__":
    program(run)
