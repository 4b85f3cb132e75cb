"""The first steps at full width: which start survives the paper's learning rate?

    python -m training.experiments.start --output=training/results

Trains each network of the paper, at full width and 224x224, with ReLU and with PReLU,
for a few steps on random labels of 1000 classes with the paper's optimizer (learning
rate 0.01, momentum 0.9, decay 0.0005, dropout 0.5, no clipping). The images have the
statistics of photographs. There are two remedies against the scale of the input: to
normalize it, and to start the fully connected layers smaller. Each network starts with
one remedy, with both and with neither, in batches of 128. The start that is the default
is first tried in batches of 32, whose gradients are noisier, for 20 steps instead of
6. A start fails if its loss is not finite, or ends above twice the loss of guessing.

Writes start.csv. The batches of 32 take about two hours on two cores; the others take
about five more, half of them for model C.
"""

import math

import keras
import numpy as np

from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.layers.subtract_mean import IMAGENET_MEAN
from keras_prelu.optimizers import SGD
from training.experiments.experiment import fill, program

CLASSES = 1000
BATCH, SMALL_BATCH = 128, 32
MICROBATCH = 32  # images per gradient, which is what fits into memory
STEPS = {SMALL_BATCH: 20, BATCH: 6}
DEFAULT = "input scaled"
REMEDIES = (DEFAULT, "both", "small fc layers", "neither")
NETS = ("model14", "model30", "model_a", "model_b", "model_c")
RECTIFIERS = ("prelu", "relu")
# Standard deviations at full width, from section 2.2 of the paper.
FC_DEVIATIONS = {"fc1": 0.01, "fc2": 0.01, "fc3": 0.001}


def photographs(count, side, rng):
    """Return noise with the statistics of photographs, float32 in [0, 255].

    The amplitude falls as one over the frequency, the channels have a correlation of
    0.8, and the standard deviation is 55 before values are clipped.
    """
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    noise = rng.standard_normal((count, side, side, 4)).astype("float32")
    spectrum = np.fft.rfft2(noise, axes=(1, 2)) / frequency[..., None]
    fields = np.fft.irfft2(spectrum, (side, side), axes=(1, 2))
    fields /= fields.std()
    channels = math.sqrt(0.8) * fields[..., 3:] + math.sqrt(0.2) * fields[..., :3]
    return np.clip(55 * channels + IMAGENET_MEAN, 0, 255).astype("float32")


def apply_remedy(model, remedy, width):
    """Change a new network to start with or without the remedies."""
    if remedy in ("small fc layers", "neither"):
        model.get_layer("scale").scale = 1.0
    if remedy in ("small fc layers", "both"):
        for name, deviation in FC_DEVIATIONS.items():
            kernel = model.get_layer(name).kernel
            stddev = deviation / math.sqrt(width)
            kernel.assign(keras.random.normal(kernel.shape, stddev=stddev))


def first_losses(model, batches, accumulate):
    """Train on batches, and return the losses up to the first that is not finite."""
    model.compile(
        SGD(gradient_accumulation_steps=accumulate if accumulate > 1 else None),
        "sparse_categorical_crossentropy",
    )
    losses = []
    for x, y in batches:
        parts = zip(np.split(x, accumulate), np.split(y, accumulate), strict=True)
        losses.append(np.mean([model.train_on_batch(*part) for part in parts]))
        if not math.isfinite(losses[-1]):
            break
    return losses


def measure(cell, experiment):
    """Return the losses of a network's first steps, and the verdict."""
    side, width, steps = (224, 1.0, STEPS[cell["batch"]])
    batch, accumulate = cell["batch"], cell["batch"] // MICROBATCH
    if experiment.is_small:
        side, width, steps, batch, accumulate = 32, 1 / 16, 2, 4, 2
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = CONSTRUCTORS[cell["net"]](
        classes=CLASSES,
        input_shape=(side, side, 3),
        activation=cell["rectifier"],
        width=width,
    )
    apply_remedy(model, cell["remedy"], width)
    rng = np.random.default_rng(0)
    batches = [
        (photographs(batch, side, rng), rng.integers(0, CLASSES, batch))
        for _ in range(steps)
    ]
    logits = keras.Model(model.inputs, model.get_layer("fc3").output)
    x = batches[0][0][: batch // accumulate]
    deviation = float(logits.predict_on_batch(x).std())
    losses = first_losses(model, batches, accumulate)
    print(f"{cell}: {losses}", flush=True)
    return {
        "logits_std": deviation,
        "steps": len(losses),
        "verdict": verdict(losses),
        "losses": " ".join(f"{loss:.4g}" for loss in losses),
    }


def verdict(losses):
    """Return in words whether a start survives its first steps."""
    bounded = math.isfinite(losses[-1]) and losses[-1] < 2 * math.log(CLASSES)
    return "survives" if bounded else "fails"


def run(experiment):
    """Measure, and write the table."""
    starts = [(SMALL_BATCH, DEFAULT), *((BATCH, remedy) for remedy in REMEDIES)]
    cells = [
        {"net": net, "rectifier": rectifier, "remedy": remedy, "batch": batch}
        for batch, remedy in starts
        for rectifier in RECTIFIERS
        for net in NETS
    ]
    fill(experiment.output / "start.csv", cells, lambda cell: measure(cell, experiment))
    experiment.write_config(
        "start",
        classes=CLASSES,
        microbatch=MICROBATCH,
        steps_by_batch=STEPS,
        fc_deviations=FC_DEVIATIONS,
    )


if __name__ == "__main__":
    program(run)
