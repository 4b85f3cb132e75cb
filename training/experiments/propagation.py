"""Signals through nets that nobody has trained, by depth (section 2.2).

    python -m training.experiments.propagation --output=training/results

All five nets with PReLU, at full width and 224x224, under five rules for the kernels:
the variance of every layer's response and gradient. Writes propagation.csv,
propagation_example.csv (a standard deviation of 0.01) and, with the full setting,
docs/images/propagation.png. The full setting takes about 10 minutes on two cores.
"""

import math

import keras
import numpy as np

from keras_prelu import data
from keras_prelu.analysis import signal_propagation
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.initializers import HeNormal
from training.experiments import training_runs
from training.experiments.experiment import fill, plt, program

PICTURES = 2
SEED = 0
SLOPE = 0.25
# Arguments of the initializer. A slope of 1 is Xavier's rule.
RULES = {
    "He, fan in, a = 0.25": {"slope": SLOPE, "mode": "fan_in"},
    "He, fan in, a = 0": {"slope": 0.0, "mode": "fan_in"},
    "He, fan out, a = 0.25": {"slope": SLOPE, "mode": "fan_out"},
    "He, fan out, a = 0": {"slope": 0.0, "mode": "fan_out"},
    "Xavier": {"slope": 1.0, "mode": "fan_in"},
}
# Of a VGG net of ten convolutions, as in section 2.2: filters, None for a pooling.
EXAMPLE = (64, 64, None, 128, 128, None, 256, 256, None, 512, 512, None, 512, 512)


def width(experiment):
    """Returns the width of the nets."""
    return 1 / 16 if experiment.is_small else 1.0


def pictures(experiment):
    """Returns the pictures that go through, and their side."""
    side = 64 if experiment.is_small else 224
    _, source = training_runs.sources(experiment.setting)
    batches = data.eval_batches(source, PICTURES, image_size=side, scale=side * 8 // 7)
    return next(iter(batches))[0].numpy(), side


def factors(kernel, slope, mode):
    """Returns what Eqns. 7 and 12 say a layer multiplies variances by.

    Forward that of the responses before it, and backward that of the gradients.
    """
    *window, inputs, outputs = kernel.shape
    fan_in, fan_out = (math.prod(window) * count for count in (inputs, outputs))
    variance = 2 / ((1 + slope**2) * (fan_in if mode == "fan_in" else fan_out))
    gain = (1 + SLOPE**2) / 2
    return gain * fan_in * variance, gain * fan_out * variance


def measure(cell, experiment):
    """Returns the rows of a net under a rule, measured and by theory.

    The theory knows of convolutions and rectifiers, not of pooling nor of padding. It
    starts from the first layer forward, and from the last backward.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    x, side = pictures(experiment)
    model = CONSTRUCTORS[cell["net"]](
        input_shape=(side, side, 3),
        width=width(experiment),
        classifier_activation=None,
    )
    rule = RULES[cell["rule"]]
    training_runs.initialize(model, HeNormal(**rule))
    found = [
        row for row in signal_propagation(model, x) if row.name[:2] in ("co", "fc")
    ]
    found = [row for row in found if row.name != "fc3"]  # has a rule of its own
    gains = [factors(model.get_layer(r.name).kernel, **rule) for r in found]
    forward = found[0].forward * np.cumprod([1, *(gain for gain, _ in gains[1:])])
    back = [gain for _, gain in gains[:0:-1]]
    backward = (found[-1].backward * np.cumprod([1, *back]))[::-1]
    return [
        {
            "layer": row.name,
            "forward": row.forward,
            "forward_theory": float(forward[i]),
            "backward": row.backward,
            "backward_theory": float(backward[i]),
        }
        for i, row in enumerate(found)
    ]


def example_net(side, std):
    """Returns the convolutions of the example, by He's rule or with one deviation."""
    x = inputs = keras.Input((side, side, 3))
    for number, filters in enumerate(EXAMPLE):
        if filters is None:
            x = keras.layers.MaxPooling2D()(x)
            continue
        kernel = keras.initializers.RandomNormal(stddev=std)
        x = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            kernel_initializer=kernel if std else HeNormal(mode="fan_out"),
            name=f"conv{number}",
        )(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(inputs, x)


def example(experiment):
    """Returns by how much 0.01 shrinks the gradient more than He's rule does.

    On its way from the last convolution's response to that of the first, through nine
    kernels.
    """
    x, side = pictures(experiment)
    shrunk = {}
    for std in (0.01, None):
        keras.utils.set_random_seed(1)
        table = signal_propagation(example_net(side, std), x - x.mean())
        rows = [row for row in table if row.kind == "Conv2D"]
        shrunk[std] = math.sqrt(rows[-1].backward / rows[0].backward)
    kernels = [filters for filters in EXAMPLE if filters][1:]
    return {
        "kernels": len(kernels),
        "theory": math.prod(math.sqrt(2 / (9 * d)) / 0.01 for d in kernels),
        "measured": shrunk[0.01] / shrunk[None],
    }


def draw(rows, experiment):
    """Draws both variances by depth, a column a net, dotted by theory."""
    figure, axes = plt.subplots(
        2, len(CONSTRUCTORS), figsize=(18, 7.5), layout="constrained", sharey="row"
    )
    for column, net in zip(axes.T, CONSTRUCTORS, strict=True):
        for rule in RULES:
            chosen = [r for r in rows if (r["net"], r["rule"]) == (net, rule)]
            depths = range(1, len(chosen) + 1)
            for axis, way, start in zip(
                column, ("forward", "backward"), (0, -1), strict=True
            ):
                values = np.array([row[way] for row in chosen]) / chosen[start][way]
                theory = np.array([row[f"{way}_theory"] for row in chosen])
                (line,) = axis.plot(depths, values, ".-", label=rule)
                axis.plot(depths, theory / theory[start], ":", color=line.get_color())
                axis.set(yscale="log", xlabel="layer")
                axis.grid(alpha=0.3)
        column[0].set_title(net)
    axes[0, 0].set_ylabel("variance of the response, first = 1")
    axes[1, 0].set_ylabel("variance of the gradient, last = 1")
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("Fresh nets with PReLU (a = 0.25); dotted: theory, without pooling")
    experiment.save(figure, "propagation")


def run(experiment):
    """Measures, writes, draws."""
    cells = [{"net": net, "rule": rule} for net in CONSTRUCTORS for rule in RULES]
    path = experiment.output / "propagation.csv"
    rows = fill(path, cells, lambda cell: measure(cell, experiment))
    experiment.write("propagation_example", [example(experiment)])
    experiment.write_config(
        "propagation",
        pictures=PICTURES,
        image_size=pictures(experiment)[1],
        width=width(experiment),
        slope=SLOPE,
        seed=SEED,
        rules=RULES,
    )
    draw(rows, experiment)


if __name__ == "__main__":
    program(run)
