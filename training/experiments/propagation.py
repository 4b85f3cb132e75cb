"""Signals through untrained networks, layer by layer (section 2.2).

    python -m training.experiments.propagation --output=training/results

Measures the variance of each layer's response and gradient in all five networks with
PReLU, at full width and 224x224, with five initializers of the kernels. Writes
propagation.csv, propagation_trained.csv (the widths and image sizes of the other
experiments, the mean of ten draws of the weights), propagation_example.csv (a standard
deviation of 0.01) and, with the full setting, docs/images/propagation.png. The full
setting takes about 15 minutes on two cores.
"""

import math

import keras
import numpy as np

from keras_prelu import data
from keras_prelu.analysis import signal_propagation
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.initializers import HeNormal
from training.experiments import arms
from training.experiments.experiment import NETS, fill, plt, program

IMAGES = 2
SEED = 0
DRAWS = 10  # of the weights of narrow networks, whose variances vary more
SLOPE = 0.25
# Arguments of the initializer. A slope of 1 is Xavier's rule.
RULES = {
    "He, fan in, a = 0.25": {"slope": SLOPE, "mode": "fan_in"},
    "He, fan in, a = 0": {"slope": 0.0, "mode": "fan_in"},
    "He, fan out, a = 0.25": {"slope": SLOPE, "mode": "fan_out"},
    "He, fan out, a = 0": {"slope": 0.0, "mode": "fan_out"},
    "Xavier": {"slope": 1.0, "mode": "fan_in"},
}
# A VGG network of ten convolutions as in section 2.2: filters, or None for a pooling.
EXAMPLE = (64, 64, None, 128, 128, None, 256, 256, None, 512, 512, None, 512, 512)


def full_size(experiment):
    """Return the width and the image size of the paper's networks."""
    return (1 / 16, 64) if experiment.is_small else (1.0, 224)


def trained_size(net, experiment):
    """Return the width and the image size at which the experiments train a network."""
    if experiment.is_small:
        return 1 / 32, 32
    return arms.WIDTHS[net], arms.SIDES[net]


def images(experiment, side):
    """Return the images to propagate."""
    _, source = arms.sources(experiment.setting)
    batches = data.eval_batches(source, IMAGES, image_size=side, scale=side * 8 // 7)
    return next(iter(batches))[0].numpy()


def factors(kernel, slope, mode):
    """Return the factors with which a layer multiplies variances, by Eqns. 7 and 12.

    The first is for the responses on the way forward, the second for the gradients on
    the way backward.
    """
    *window, inputs, outputs = kernel.shape
    fan_in, fan_out = (math.prod(window) * count for count in (inputs, outputs))
    variance = 2 / ((1 + slope**2) * (fan_in if mode == "fan_in" else fan_out))
    gain = (1 + SLOPE**2) / 2
    return gain * fan_in * variance, gain * fan_out * variance


def measure(cell, experiment, width, side, draws=1):
    """Return the rows of a network with an initializer: means over draws of weights."""
    tables = [
        measure_draw(cell, images(experiment, side), width, SEED + draw)
        for draw in range(draws)
    ]
    return [
        {
            name: value if name == "layer" else float(np.mean([r[name] for r in rows]))
            for name, value in rows[0].items()
        }
        for rows in zip(*tables, strict=True)
    ]


def measure_draw(cell, x, width, seed):
    """Return the rows of one draw of the weights, measured and by theory.

    The theory covers convolutions and rectifiers, but not pooling and padding. It
    starts at the first layer forward, and at the last layer backward.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = CONSTRUCTORS[cell["net"]](
        input_shape=x.shape[1:], width=width, classifier_activation=None
    )
    rule = RULES[cell["rule"]]
    arms.initialize(model, HeNormal(**rule))
    layers = [
        row
        for row in signal_propagation(model, x)
        # fc3 has its own initializer.
        if row.name.startswith(("conv", "fc")) and row.name != "fc3"
    ]
    gains = [factors(model.get_layer(r.name).kernel, **rule) for r in layers]
    forward = layers[0].forward * np.cumprod([1, *(gain for gain, _ in gains[1:])])
    back = [gain for _, gain in gains[:0:-1]]
    backward = (layers[-1].backward * np.cumprod([1, *back]))[::-1]
    return [
        {
            "layer": row.name,
            "forward": row.forward,
            "forward_theory": float(forward[i]),
            "backward": row.backward,
            "backward_theory": float(backward[i]),
        }
        for i, row in enumerate(layers)
    ]


def example_net(side, std):
    """Return the example's network, with He's rule or one standard deviation."""
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
    """Return how much more 0.01 shrinks the gradient than He's rule does.

    The gradient passes nine kernels, from the response of the last convolution to the
    response of the first.
    """
    _, side = full_size(experiment)
    x = images(experiment, side)
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
    """Draw both variances by depth, one column per network; dotted lines are theory."""
    figure, axes = plt.subplots(
        2, len(CONSTRUCTORS), figsize=(13, 7), layout="constrained", sharey="row"
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
        column[0].set_title(NETS[net])
    axes[0, 0].set_ylabel("variance of the response, first = 1")
    axes[1, 0].set_ylabel("variance of the gradient, last = 1")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    figure.suptitle(
        "Untrained networks with PReLU (a = 0.25); dotted: theory, without pooling"
    )
    experiment.save(figure, "propagation")


def run(experiment):
    """Measure, write the tables and draw the figure."""
    cells = [{"net": net, "rule": rule} for net in CONSTRUCTORS for rule in RULES]
    width, side = full_size(experiment)
    rows = fill(
        experiment.output / "propagation.csv",
        cells,
        lambda cell: measure(cell, experiment, width, side),
    )
    fill(
        experiment.output / "propagation_trained.csv",
        [cell for cell in cells if cell["net"] in arms.WIDTHS],
        lambda cell: measure(
            cell, experiment, *trained_size(cell["net"], experiment), draws=DRAWS
        ),
    )
    experiment.write("propagation_example", [example(experiment)])
    experiment.write_config(
        "propagation",
        images=IMAGES,
        image_size=side,
        width=width,
        draws_at_trained_size=DRAWS,
        slope=SLOPE,
        seed=SEED,
        rules=RULES,
    )
    draw(rows, experiment)


if __name__ == "__main__":
    program(run)
