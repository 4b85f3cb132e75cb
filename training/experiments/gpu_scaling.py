"""How training scales to many GPUs, on paper: a model of what a step costs.

    python -m training.experiments.gpu_scaling --output=training/results

Nothing is trained and nothing is timed here: the speed of one GPU is a published one,
and the rest is arithmetic. Writes scaling.csv (models A, B and C on 1 to 1,024 GPUs),
scaling_checks.csv (the same model beside published figures) and, with the full setting,
docs/images/scaling.png. It takes seconds.
"""

import math
from typing import NamedTuple

import keras

from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.applications.nets import shapes_only
from training.experiments.experiment import plt, program

FLOAT32, BFLOAT16 = 4, 2
GPUS = tuple(2**i for i in range(11))
BATCH = 64  # images per GPU
MODELS = ("model_a", "model_b", "model_c")


class Net(NamedTuple):
    """What the cost of a step depends on."""

    convolution_multiply_adds: int
    fc_multiply_adds: int
    convolution_weights: int
    fc_weights: int
    fc_inputs: int  # numbers that go from the convolutions to fc1 for an image

    @property
    def multiply_adds(self):
        """Of all layers, for an image."""
        return self.convolution_multiply_adds + self.fc_multiply_adds


class Machine(NamedTuple):
    """GPUs and what joins them."""

    flops: float  # of one GPU in training, as the time of a step shows them
    link: float  # bytes a second between two GPUs of a server, each way
    network: float  # bytes a second between two servers, each way
    gpus_per_server: int = 8
    latency: float = 10e-6  # of one message

    def bandwidth(self, gpus):
        """Returns the bytes a second of the slowest link of a ring."""
        return self.link if gpus <= self.gpus_per_server else self.network


# The speed of one GPU is published: 154 images/s of VGG-16 on a P100; and for the
# paper's GPUs 2.6 s for 128 images of model A on four of them at a speedup of 3.8. As
# that speedup went into the speed, it is no check of the prediction.
P100 = Machine(flops=154 * 6 * 15.47e9, link=20e9, network=25e9 / 8)
P100_FAST = P100._replace(network=100e9 / 8)
HOROVOD = P100._replace(gpus_per_server=4)
PAPERS = Machine(flops=128 * 6 * 1.9e10 / (2.6 * 3.8), link=6e9, network=6e9)


def of_model(model):
    """Returns the costs of a model of this package or of `keras.applications`."""
    dense = [x for x in model.layers if isinstance(x, keras.layers.Dense)]
    weights = sum(layer.count_params() for layer in dense)
    multiply = sum(math.prod(layer.kernel.shape) for layer in dense)
    return Net(
        multiply_adds(model) - multiply,
        multiply,
        model.count_params() - weights,
        weights,
        dense[0].kernel.shape[0],
    )


def ring(machine, gpus, size):
    """Returns the seconds in which a ring of GPUs sums `size` bytes of each.

    Each GPU sends 2 (n - 1) parts of an n-th of them.
    """
    parts = 2 * (gpus - 1)
    return parts * (size / gpus / machine.bandwidth(gpus) + machine.latency)


def step(net, machine, gpus, batch, number=FLOAT32, fc_on_one=False, hidden=0.0):
    """Returns the seconds of a step.

    Args:
        net: A `Net`.
        machine: A `Machine`.
        gpus: How many of them.
        batch: Images over all of them.
        number: Bytes of a number of a gradient on its way.
        fc_on_one: Whether the fully connected layers are on one GPU, as the paper has
            them: their gradients stay there, activations come and go, and the other
            GPUs wait.
        hidden: The fraction of the backward pass, two thirds of the time, that
            communication can hide behind.
    """
    per_multiply_add = 6 * batch / machine.flops  # 2 operations, forward and back
    if fc_on_one:
        shared, weights = net.convolution_multiply_adds, net.convolution_weights
        others = batch * (gpus - 1) / gpus  # images of which activations must move
        waiting = net.fc_multiply_adds * per_multiply_add
        waiting += 2 * others * net.fc_inputs * number / machine.bandwidth(gpus)
    else:
        shared, weights = net.multiply_adds, net.convolution_weights + net.fc_weights
        waiting = 0.0
    compute = shared * per_multiply_add / gpus
    behind = hidden * 2 / 3 * compute
    return compute + waiting + max(0.0, ring(machine, gpus, weights * number) - behind)


STRATEGIES = {
    "all-reduce, float32": {},
    "all-reduce, bfloat16": {"number": BFLOAT16},
    "fc on one GPU, float32": {"fc_on_one": True},
}
NETWORKS = {"25 Gbit/s": P100, "100 Gbit/s": P100_FAST}

# Published: net, machine, images a GPU, or in all with one GPU as with several; GPUs,
# efficiency; whether fc layers are on one GPU; and where it is written.
TF_BENCHMARKS = (
    "[TensorFlow, synthetic data, DGX-1](https://github.com/tensorflow/tensorflow/blob/"
    "5984ffefd320c5d71b801ee06079a51b91ea42c0/tensorflow/docs_src/performance/"
    "benchmarks.md)"
)
HOROVOD_128 = "[Horovod's early README](https://github.com/bobohuang/horovod)"
HOROVOD_512 = "[Horovod's README](https://github.com/horovod/horovod)"
CHECKS = [
    ("model_a", PAPERS, 128 / 8, 8, 6.0 / 8, True, "the paper, section 3"),
    ("VGG16", P100, 64, 2, 295 / 308, False, TF_BENCHMARKS),
    ("VGG16", P100, 64, 4, 584 / 616, False, TF_BENCHMARKS),
    ("VGG16", P100, 64, 8, 1081 / 1232, False, TF_BENCHMARKS),
    ("VGG16", P100, 32, 8, 820 / 1152, False, TF_BENCHMARKS),
    ("VGG16", HOROVOD, 64, 128, 0.79, False, HOROVOD_128),
    ("VGG16", HOROVOD, 64, 512, 0.68, False, HOROVOD_512),
]


def all_nets():
    """Returns the costs of models A, B and C, and of VGG-16."""
    with shapes_only():
        found = {name: of_model(CONSTRUCTORS[name]()) for name in MODELS}
        found["VGG16"] = of_model(keras.applications.VGG16(weights=None))
    return found


def efficiency(net, machine, gpus, per_gpu, **strategy):
    """Returns the fraction of the GPUs' time that one GPU would need for all of it."""
    batch = gpus * per_gpu
    alone = step(net, machine, 1, batch)
    return alone / (gpus * step(net, machine, gpus, batch, **strategy))


def bounds(net, machine, gpus, per_gpu, **strategy):
    """Returns the efficiency without overlap of communication, and with all there is.

    Software lies in between: it starts to sum the gradients of a layer while those of
    the layers before it are computed.
    """
    return {
        "not_overlapped": efficiency(net, machine, gpus, per_gpu, **strategy),
        "overlapped": efficiency(net, machine, gpus, per_gpu, hidden=1.0, **strategy),
    }


def predictions(nets):
    """Returns a row for each net, network, strategy and number of GPUs."""
    return [
        {
            "net": name,
            "network": network,
            "strategy": strategy,
            "gpus": gpus,
            **bounds(nets[name], machine, gpus, BATCH, **arguments),
        }
        for name in MODELS
        for network, machine in NETWORKS.items()
        for strategy, arguments in STRATEGIES.items()
        for gpus in GPUS
    ]


def checks(nets):
    """Returns a row for each published figure, with what the model says."""
    return [
        {
            "net": name,
            "gpus": gpus,
            "images_per_gpu": per_gpu,
            "published": published,
            **bounds(nets[name], machine, gpus, per_gpu, fc_on_one=fc_on_one),
            "source": source,
        }
        for name, machine, per_gpu, gpus, published, fc_on_one, source in CHECKS
    ]


def _band(axis, pairs, label, color):
    """Draws bands of efficiencies, each between its two bounds."""
    low, high = (
        [100 * pair[name] for pair in pairs]
        for name in ("not_overlapped", "overlapped")
    )
    axis.fill_between(GPUS, low, high, alpha=0.25, color=color, label=label)
    axis.plot(GPUS, low, color=color, linewidth=1)


def _draw_checks(axis, nets, name, machine, **strategy):
    """Draws a prediction, and what was published of the same net and GPUs."""
    per_gpu = 64 if name == "VGG16" else 16
    pairs = [bounds(nets[name], machine, n, per_gpu, **strategy) for n in GPUS]
    _band(axis, pairs, "predicted", "grey")
    published = [
        (row[3], 100 * row[4]) for row in CHECKS if (row[0], row[2]) == (name, per_gpu)
    ]
    axis.plot(*zip(*published, strict=True), "k*", markersize=10, label="published")


def draw(rows, nets, experiment):
    """Draws the efficiency by GPUs: published beside predicted, then what follows."""
    figure, axes = plt.subplots(
        2, 4, figsize=(16, 7.5), layout="constrained", sharex=True, sharey=True
    )
    _draw_checks(axes[0, 0], nets, "VGG16", HOROVOD)
    axes[0, 0].set_title("VGG-16, P100s, 64 images per GPU")
    _draw_checks(axes[1, 0], nets, "model_a", PAPERS, fc_on_one=True)
    axes[1, 0].set_title("model A, the paper's GPUs, 16 images per GPU")
    for i, network in enumerate(NETWORKS):
        for axis, net in zip(axes[i, 1:], MODELS, strict=True):
            for strategy, color in zip(STRATEGIES, ("C0", "C1", "C2"), strict=True):
                pairs = [
                    row
                    for row in rows
                    if (row["net"], row["network"], row["strategy"])
                    == (net, network, strategy)
                ]
                _band(axis, pairs, strategy, color)
            axis.set_title(f"{net}, {network} between servers")
    for axis in axes.flat:
        axis.set(xscale="log", ylim=(0, 105))
        axis.set_xticks(GPUS, GPUS, rotation=60)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    for axis in (*axes[:, 0], axes[0, 1]):
        axis.legend(fontsize=8, loc="lower left")
    figure.supylabel("efficiency, %")
    figure.supxlabel("GPUs, 8 per server (VGG-16: 4)")
    figure.suptitle(
        "Predicted: from no overlap of communication (line) to full overlap (edge)"
    )
    experiment.save(figure, "scaling")


def run(experiment):
    """Computes, writes, draws."""
    nets = all_nets()
    rows = predictions(nets)
    experiment.write("scaling", rows)
    experiment.write("scaling_checks", checks(nets))
    machines = {"P100": P100, "Horovod's": HOROVOD, "the paper's": PAPERS}
    experiment.write_config(
        "scaling",
        images_per_gpu=BATCH,
        machines={name: machine._asdict() for name, machine in machines.items()},
        networks={name: machine.network for name, machine in NETWORKS.items()},
        strategies=STRATEGIES,
    )
    draw(rows, nets, experiment)


if __name__ == "__main__":
    program(run)
