"""How training scales to many GPUs: a model of the cost of a step.

    python -m training.experiments.gpu_scaling --output=training/results

Nothing is trained or timed: the speed of one GPU is published, and the rest is
arithmetic. Writes scaling.csv (models A, B and C on 1 to 1,024 GPUs),
scaling_checks.csv (the same model beside published figures) and, with the full setting,
docs/images/scaling.png. It takes seconds.
"""

import math
from typing import NamedTuple

import keras

from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.keras_internals import shapes_only
from training.experiments.experiment import NETS, plt, program

FLOAT32, BFLOAT16 = 4, 2
GPUS = tuple(2**i for i in range(11))
BATCH = 64  # images per GPU
MODELS = ("model_a", "model_b", "model_c")


class Net(NamedTuple):
    """The numbers of a network on which the cost of a step depends."""

    convolution_multiply_adds: int
    fc_multiply_adds: int
    convolution_weights: int
    fc_weights: int
    fc_inputs: int  # activations per image from the convolutions to fc1

    @property
    def multiply_adds(self):
        """The multiply-adds of all layers for one image."""
        return self.convolution_multiply_adds + self.fc_multiply_adds


class Machine(NamedTuple):
    """GPUs and the network between them."""

    flops: float  # of one GPU, derived from the time of a training step
    link: float  # bytes per second between two GPUs of a server, each way
    network: float  # bytes per second between two servers, each way
    gpus_per_server: int = 8
    latency: float = 10e-6  # of one message

    def bandwidth(self, gpus):
        """Return the bytes per second of the slowest link of a ring."""
        return self.link if gpus <= self.gpus_per_server else self.network


# The speed of one GPU is published: a P100 trains VGG-16 at 154 images/s, and four of
# the paper's GPUs take 2.6 s for 128 images of model A at a speedup of 3.8. Since this
# speedup went into the speed, it cannot check the prediction.
P100 = Machine(flops=154 * 6 * 15.47e9, link=20e9, network=25e9 / 8)
P100_FAST = P100._replace(network=100e9 / 8)
HOROVOD = P100._replace(gpus_per_server=4)
PAPERS = Machine(flops=128 * 6 * 1.9e10 / (2.6 * 3.8), link=6e9, network=6e9)


def of_model(model):
    """Return the numbers of a model of this package or of `keras.applications`."""
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
    """Return the seconds that a ring of n GPUs takes to sum `size` bytes.

    Each GPU sends 2 (n - 1) parts, each an n-th of the bytes.
    """
    parts = 2 * (gpus - 1)
    return parts * (size / gpus / machine.bandwidth(gpus) + machine.latency)


def step(net, machine, gpus, batch, number=FLOAT32, fc_on_one=False, hidden=0.0):
    """Return the seconds of a step.

    Args:
        net: A `Net`.
        machine: A `Machine`.
        gpus: The number of GPUs.
        batch: Images over all GPUs.
        number: Bytes per number of a gradient that is sent.
        fc_on_one: Whether the fully connected layers are on one GPU, as in the paper.
            Their gradients are not sent, but their activations are, and the other GPUs
            wait.
        hidden: The fraction of the backward pass that overlaps with communication. The
            backward pass takes two thirds of the time.
    """
    per_multiply_add = 6 * batch / machine.flops  # 2 operations, forward and back
    if fc_on_one:
        shared, weights = net.convolution_multiply_adds, net.convolution_weights
        others = batch * (gpus - 1) / gpus  # images whose activations are sent
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

# Published efficiencies: network, machine, images per GPU, GPUs, efficiency, whether
# the fully connected layers are on one GPU, and source.
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
    """Return the numbers of models A, B and C, and of VGG-16."""
    with shapes_only():
        nets = {name: of_model(CONSTRUCTORS[name]()) for name in MODELS}
        nets["VGG16"] = of_model(keras.applications.VGG16(weights=None))
    return nets


def efficiency(net, machine, gpus, per_gpu, **strategy):
    """Return the time of one GPU over the total time of all GPUs for the same work."""
    batch = gpus * per_gpu
    alone = step(net, machine, 1, batch)
    return alone / (gpus * step(net, machine, gpus, batch, **strategy))


def bounds(net, machine, gpus, per_gpu, **strategy):
    """Return the efficiency without and with full overlap of communication.

    Real software lies in between: it sums the gradients of a layer while it computes
    those of the layers before.
    """
    return {
        "not_overlapped": efficiency(net, machine, gpus, per_gpu, **strategy),
        "overlapped": efficiency(net, machine, gpus, per_gpu, hidden=1.0, **strategy),
    }


def predictions(nets):
    """Return a row for each model, network, strategy and number of GPUs."""
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
    """Return a row for each published efficiency, with the prediction."""
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
    """Draw a band of efficiencies between their two bounds."""
    low, high = (
        [100 * pair[name] for pair in pairs]
        for name in ("not_overlapped", "overlapped")
    )
    axis.fill_between(GPUS, low, high, alpha=0.25, color=color, label=label)
    axis.plot(GPUS, low, color=color, linewidth=1)


def _draw_checks(axis, nets, name, machine, **strategy):
    """Draw a prediction and the published efficiencies of the same model and GPUs."""
    per_gpu = 64 if name == "VGG16" else 16
    pairs = [bounds(nets[name], machine, n, per_gpu, **strategy) for n in GPUS]
    _band(axis, pairs, "predicted", "grey")
    published = [
        (row["gpus"], 100 * row["published"])
        for row in checks(nets)
        if (row["net"], row["images_per_gpu"]) == (name, per_gpu)
    ]
    axis.plot(*zip(*published, strict=True), "k*", markersize=10, label="published")


def draw(rows, nets, experiment):
    """Draw the efficiency by GPUs: published beside predicted, then what follows."""
    figure, axes = plt.subplots(
        2, 4, figsize=(13, 7.5), layout="constrained", sharex=True, sharey=True
    )
    _draw_checks(axes[0, 0], nets, "VGG16", HOROVOD)
    axes[0, 0].set_title("VGG-16, P100s,\n64 images per GPU")
    _draw_checks(axes[1, 0], nets, "model_a", PAPERS, fc_on_one=True)
    axes[1, 0].set_title("Model A, the paper's GPUs,\n16 images per GPU")
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
            axis.set_title(f"{NETS[net]},\n{network} between servers")
    for axis in axes.flat:
        axis.set(xscale="log", ylim=(0, 105))
        axis.set_xticks(GPUS, GPUS, rotation=60)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    for axis in axes[1]:
        axis.set_xlabel("GPUs")
    for axis in axes[:, 0]:
        axis.legend(loc="lower left")
    figure.legend(
        *axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3
    )
    figure.supylabel("efficiency, %")
    figure.suptitle(
        "Predicted: from no overlap of communication (line) to full overlap (edge);\n"
        "8 GPUs per server, 4 for VGG-16"
    )
    experiment.save(figure, "scaling")


def run(experiment):
    """Compute, write the tables and draw the figure."""
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
