"""The tables about nets at the start of training, in Markdown, from the results."""

from keras_prelu.tables import markdown, read_csv
from training.experiments.experiment import NETS
from training.experiments.start import REMEDIES

RECTIFIERS = {"prelu": "PReLU", "relu": "ReLU"}


def start_verdicts(results):
    """Return the table of verdicts and last losses: by network, and by start."""
    rows = read_csv(results / "start.csv")
    starts = sorted(
        {(row["remedy"], row["batch"]) for row in rows},
        key=lambda start: (REMEDIES.index(start[0]), start[1]),
    )
    cells = {
        (row["net"], row["rectifier"], row["remedy"], row["batch"]): (
            f"{row['verdict']}: {str(row['losses']).split()[-1]}"
        )
        for row in rows
    }
    nets = sorted({(row["net"], row["rectifier"]) for row in rows})
    return markdown(
        ["net", "rectifier", *(f"{name}, {batch} images" for name, batch in starts)],
        [
            [
                NETS[net],
                RECTIFIERS[rectifier],
                *(cells.get((net, rectifier, *start), "–") for start in starts),
            ]
            for net, rectifier in nets
        ],
    )


def start(results):
    """Return the table of the first losses at full width from each start."""
    rows = [
        [
            row["net"],
            row["rectifier"],
            row["remedy"],
            row["batch"],
            f"{row['logits_std']:.2g}",
            ", ".join(str(row["losses"]).split()[:6]),
            str(row["losses"]).split()[-1],
            row["steps"],
            row["verdict"],
        ]
        for row in read_csv(results / "start.csv")
    ]
    return markdown(
        [
            "net",
            "rectifier",
            "start",
            "batch",
            "std of the first logits",
            "first losses",
            "last loss",
            "steps",
            "verdict",
        ],
        rows,
    )


def first_try(results):
    """Return the table of a new network's losses on easy images."""
    rows = [
        [
            row["optimizer"],
            row["rate"],
            row["width"],
            row["side"],
            row["seed"],
            row["verdict"],
            ", ".join(str(row["losses"]).split()),
        ]
        for row in read_csv(results / "first_try.csv")
    ]
    header = ["optimizer", "learning rate", "width", "image size", "seed", "verdict"]
    return markdown([*header, "loss of each epoch"], rows)


def propagation_trained(results):
    """Return the table of `propagation` for networks as the experiments train them."""
    return propagation(results, "propagation_trained.csv")


def propagation(results, file="propagation.csv"):
    """Return the table of ratios of variances between the first and last layers."""
    cells = {}
    for row in read_csv(results / file):
        cells.setdefault((row["net"], row["rule"]), []).append(row)
    rows = []
    for (net, rule), layers in cells.items():
        first, last = layers[0], layers[-1]
        convolution = [row for row in layers if row["layer"].startswith("conv")][-1]
        ratios = [
            to[f"{way}{kind}"] / start[f"{way}{kind}"]
            for way, to, start in (
                ("forward", convolution, first),
                ("forward", last, first),
                ("backward", first, last),
            )
            for kind in ("", "_theory")
        ]
        rows.append([net, rule, *(f"{ratio:.2g}" for ratio in ratios)])
    ways = ["forward to the last convolution", "forward to fc2", "back from fc2"]
    header = [name for way in ways for name in (way, "theory")]
    return markdown(["net", "rule", *header], rows)


def propagation_example(results):
    """Return the table of the example of section 2.2."""
    (row,) = read_csv(results / "propagation_example.csv")
    return markdown(
        ["", "paper", "theory", "measured"],
        [
            [
                "gradient lost by 0.01",
                "1.7e+04",
                *(f"{row[n]:.2g}" for n in list(row)[1:]),
            ]
        ],
    )
