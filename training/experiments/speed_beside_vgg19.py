"""The speed of model A beside Keras's VGG19, with similar multiply-adds (Table 3).

    python -m training.experiments.speed_beside_vgg19 --output=training/results

Measures the time per image in training and inference, in float32 and bfloat16, for
batches of 1 to 64, at 224x224. The networks take turns. Writes vgg-BACKEND.csv and,
with the full setting, docs/images/vgg-BACKEND.png; KERAS_BACKEND=jax selects JAX. The
full setting takes 22 minutes on two cores, and each row is written immediately.
Cells that would take more than half an hour are left out, since training in bfloat16 is
that slow on processors without instructions for it.
"""

import functools
import itertools

import keras
import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks._measure import interleaved, machine
from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.tables import read_csv
from training.experiments.experiment import fill, plt, program

BATCHES = (1, 4, 16, 64)
POLICIES = ("float32", "mixed_bfloat16")
PHASES = ("inference", "training")
LIMIT = 30 * 60  # seconds for one cell
REFERENCE = "VGG19"


def size(is_small):
    """Return the side of the images and the width of model A."""
    return (48, 1 / 32) if is_small else (224, 1.0)


@functools.lru_cache(maxsize=1)  # the networks of both policies do not fit into memory
def nets(policy, is_small):
    """Return model A with ReLU and with PReLU, and VGG19, compiled."""
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    side, width = size(is_small)
    shape = (side, side, 3)
    model_a = CONSTRUCTORS["model_a"]
    models = {
        "model A, ReLU": model_a(input_shape=shape, width=width, activation="relu"),
        "model A, PReLU": model_a(input_shape=shape, width=width),
        REFERENCE: keras.applications.VGG19(weights=None, input_shape=shape),
    }
    for model in models.values():
        model.compile(keras.optimizers.SGD(1e-6), "sparse_categorical_crossentropy")
    return models


def rounds(batch):
    """Return how often to time a step; short steps are timed more often."""
    return max(3, 16 // batch)


def times(cell, is_small):
    """Return a row for each network: its time per image, and relative to VGG19."""
    models = nets(cell["policy"], is_small)
    batch, rng = cell["batch"], np.random.default_rng(0)
    side = models[REFERENCE].input_shape[1]
    x = rng.integers(0, 256, (batch, side, side, 3)).astype("float32")
    y = rng.integers(0, 1000, batch)

    def step(model):
        if cell["phase"] == "training":
            model.train_on_batch(x, y)
        else:
            model.predict_on_batch(x)

    functions = {name: functools.partial(step, m) for name, m in models.items()}
    seconds = interleaved(functions, 1 if is_small else rounds(batch))
    return [
        {
            "net": name,
            "multiply_adds": multiply_adds(models[name]),
            "seconds_per_image": value / batch,
            "of_vgg19": value / seconds[REFERENCE],
            "machine": machine(),
        }
        for name, value in seconds.items()
    ]


def draw(rows, experiment):
    """Draw the time per image, and relative to VGG19, by batch size."""
    cases = list(dict.fromkeys((row["policy"], row["phase"]) for row in rows))
    figure, axes = plt.subplots(
        2,
        len(cases),
        figsize=(1 + 3 * len(cases), 7),
        layout="constrained",
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for column, case in zip(axes.T, cases, strict=True):
        for name in dict.fromkeys(row["net"] for row in rows):
            chosen = [
                row
                for row in rows
                if (row["policy"], row["phase"], row["net"]) == (*case, name)
            ]
            batches = [row["batch"] for row in chosen]
            for axis, key in zip(
                column, ("seconds_per_image", "of_vgg19"), strict=True
            ):
                axis.plot(batches, [row[key] for row in chosen], "o-", label=name)
                axis.grid(alpha=0.3)
        policy, phase = case
        column[0].set(title=f"{phase}, {policy}", xscale="log", yscale="log")
        column[1].set(xlabel="images per batch", xscale="log", xticks=BATCHES)
        column[1].set_xticklabels(BATCHES)
        column[1].minorticks_off()
    axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel("seconds per image")
    axes[1, 0].set_ylabel("time, VGG19 = 1")
    axes[0, 0].legend()
    figure.suptitle(f"224x224, {rows[0]['machine']}", fontsize=10)
    experiment.save(figure, f"vgg-{keras.backend.backend()}")


def run(experiment):
    """Measure, write the table and draw the figure."""
    path = experiment.output / f"vgg-{keras.backend.backend()}.csv"
    for policy, phase in itertools.product(POLICIES, PHASES):
        expected = 0.0
        for batch in BATCHES[:2] if experiment.is_small else BATCHES:
            if expected * batch * (rounds(batch) + 1) > LIMIT:
                print(f"{phase}, {policy}: left out from a batch of {batch} on")
                break
            cell = {"policy": policy, "phase": phase, "batch": batch}
            rows = fill(path, [cell], lambda cell: times(cell, experiment.is_small))
            expected = sum(row["seconds_per_image"] for row in rows)
    experiment.write_config(
        path.stem,
        image_size=size(experiment.is_small)[0],
        optimizer="SGD without momentum",
        median_of="3 steps or more, after one",
    )
    draw(read_csv(path), experiment)


if __name__ == "__main__":
    program(run)
