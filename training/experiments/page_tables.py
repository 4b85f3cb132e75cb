"""The documentation's tables in Markdown, made from the results of experiments."""

import math

from keras_prelu.tables import markdown, read_csv

# The experiments that test claims, by the start of the names of their results.
CLAIMS = {
    "rectifiers": "rectifiers",
    "slopes": "slopes",
    "responses": "responses",
    "depth": "depth",
    "scales": "ways_to_test",
    "detection": "detection",
}
# Table 2 of the paper: top-1 and top-5 error, ImageNet, 10-view.
TABLE_2 = {
    "ReLU": "33.82 / 13.34",
    "PReLU shared": "32.71 / 12.87",
    "PReLU channel-wise": "32.64 / 12.75",
}
# Section 2.3.
DEPTH = {
    ("model14", "he"): "33.82 top-1",
    ("model14", "xavier"): "33.90 top-1",
    ("model_b", "he"): "converges, earlier",
    ("model_b", "xavier"): "converges",
    ("model30", "he"): "converges, 38.56 top-1",
    ("model30", "xavier"): "stalls",
}


def percent(row, name, digits=1):
    """Return a mean and its standard deviation in percent."""
    mean, spread = (100 * row[key] for key in (name, f"{name}_spread"))
    return f"{mean:.{digits}f} ± {spread:.{digits}f}"


def decimals(row, name):
    """Return a mean and its standard deviation, or a dash if there are none."""
    if math.isnan(row[name]):
        return "–"
    return f"{row[name]:.2f} ± {row[f'{name}_spread']:.2f}"


def claims(results):
    """Return the table of all claims: measured difference, interval and verdict."""
    rows = []
    for name, experiment in CLAIMS.items():
        path = results / f"{name}_claims.csv"
        if not path.exists():
            rows.append([f"(`{experiment}.py`)", "–", "not run"])
            continue
        for row in read_csv(path):
            numbers = (row["difference"], row["low"], row["high"])
            difference, low, high = (f"{number:+.3g}" for number in numbers)
            interval = f"{difference} ({low} to {high})"
            rows.append([row["claim"], interval, row["verdict"]])
    header = ["The paper says", "difference (95 % interval)", "here"]
    return markdown(header, rows)


def rectifiers(results):
    """Return Table 2: errors and time of a step for each rectifier."""
    times = {row["rectifier"]: row for row in read_csv(results / "rectifiers_step.csv")}
    rows = [
        [
            row["rectifier"],
            TABLE_2.get(row["rectifier"], "–"),
            row["rate"],
            percent(row, "val_top1_error"),
            percent(row, "val_top5_error"),
            percent(row, "top1_error"),
            decimals(row, "loss"),
            f"{times[row['rectifier']]['of_relu']:.2f}",
        ]
        for row in read_csv(results / "rectifiers.csv")
    ]
    return markdown(
        [
            "rectifier",
            "paper, top-1 / top-5",
            "learning rate",
            "ours, top-1",
            "top-5",
            "training top-1",
            "training loss",
            "time of ReLU's step",
        ],
        rows,
    )


def slopes(results):
    """Return Table 1: slopes by layer."""
    forms = ("shared", "channel-wise")
    header = ["layer"]
    for form in forms:
        header += [f"{form}: paper", "ours", "with decay"]
    rows = []
    for row in read_csv(results / "slopes.csv"):
        cells = [row["layer"]]
        for form in forms:
            cells.append(f"{row[f'{form}, paper']:.3f}")
            for case in ("without decay", "with decay"):
                key = f"{form}, {case}"
                cells.append(f"{row[key]:.3f} ± {row[f'{key}, spread']:.3f}")
        rows.append(cells)
    return markdown(header, rows)


def slopes_errors(results):
    """Return the table of errors with and without decay of the slopes."""
    cases = ("without decay", "with decay")
    rows = [
        [row["slopes"], *(percent(row, case) for case in cases)]
        for row in read_csv(results / "slopes_errors.csv")
    ]
    return markdown(["slopes", *(f"error {case}, %" for case in cases)], rows)


def responses(results):
    """Return the table of mean responses and conditioning by layer, at equal loss."""
    by_layer = {}
    for row in read_csv(results / "responses.csv"):
        if row["moment"] == "at equal loss":
            by_layer.setdefault(row["layer"], {})[row["rectifier"]] = row
    names = {"offset": "mean in deviations", "block": "block", "diagonal": "diagonal"}
    header = ["layer"]
    header += [f"{n}, {r}" for n in names.values() for r in ("ReLU", "PReLU")]
    header += [f"{r} alone, mean in deviations" for r in ("ReLU", "PReLU")]
    rows = [
        [
            layer,
            *(decimals(by_rectifier[r], n) for n in names for r in ("ReLU", "PReLU")),
            *(f"{by_rectifier[r]['gaussian']:.2f}" for r in ("ReLU", "PReLU")),
        ]
        for layer, by_rectifier in by_layer.items()
    ]
    return markdown(header, rows)


def depth(results):
    """Return the table for Figures 2 and 3: errors by network and initializer."""
    rows = [
        [
            row["net"],
            row["initializer"],
            DEPTH.get((row["net"], row["initializer"]), "–"),
            row["seeds"],
            row["rate"],
            decimals(row, "first_loss"),
            decimals(row, "last_loss"),
            percent(row, "last_top1_error"),
            percent(row, "last_val_top1_error"),
            "yes" if row["flat"] == "True" else "no",
        ]
        for row in read_csv(results / "depth.csv")
    ]
    return markdown(
        [
            "net",
            "initializer",
            "paper",
            "seeds",
            "learning rate",
            "loss of the first epoch",
            "of the last",
            "training top-1",
            "validation top-1",
            "loss was flat",
        ],
        rows,
    )


def scales(results):
    """Return Table 4: top-1 error of single nets by way to test."""
    rows = [
        [
            row["way"],
            row["scale"],
            percent(row, "relu_top1_error", 2),
            percent(row, "prelu_top1_error", 2),
        ]
        for row in read_csv(results / "scales.csv")
    ]
    return markdown(["way to test", "scale", "one ReLU net", "one PReLU net"], rows)


def scales_ensembles(results):
    """Return the top-1 errors of averaged nets by scale."""
    errors = {}
    for row in read_csv(results / "scales_ensembles.csv"):
        by_models = errors.setdefault(row["scale"], {})
        by_models[row["models"]] = f"{100 * row['top1_error']:.2f}"
    rows = [
        [scale, *(by_models[name] for name in ("relu", "prelu", "both"))]
        for scale, by_models in errors.items()
    ]
    header = ["scale", "ReLU nets", "PReLU nets", "ReLU and PReLU nets"]
    return markdown(header, rows)


def vgg(results):
    """Return the table of section 3.1: model A's time relative to VGG19."""
    table = read_csv(results / "vgg-tensorflow.csv")
    ratios = {}
    for row in table:
        case = (row["policy"], row["phase"], row["batch"])
        ratios.setdefault(case, {})[row["net"]] = row
    nets = list(dict.fromkeys(row["net"] for row in table))  # VGG19 last
    rows = [
        [
            *case,
            *(f"{cells[net]['seconds_per_image']:.3f}" for net in nets),
            *(f"{cells[net]['of_vgg19']:.2f}" for net in nets[:2]),
        ]
        for case, cells in ratios.items()
    ]
    seconds = [f"{net}, s" for net in nets]
    of_vgg = [f"{net}, of VGG19" for net in nets[:2]]
    return markdown(["dtype", "phase", "batch", *seconds, *of_vgg], rows)


def detection(results):
    """Return the table of detectors by what they start from, and the bounds."""
    rows = [
        [
            row["start"],
            f"{row['rate']:g}",
            row["seeds"],
            percent(row, "mean_average_precision"),
        ]
        for row in read_csv(results / "detection.csv")
    ]
    table = markdown(
        [
            "the detector starts from",
            "rate",
            "seeds",
            "VOC07 mean average precision, %",
        ],
        rows,
    )
    (bound,) = read_csv(results / "detection_bounds.csv")
    return (
        f"{table}\n\nThe proposals ({bound['regions_per_image']:.0f} per image) cover "
        f"{bound['recall_at_0.5']:.1%} of the objects at an overlap of 0.5 and "
        f"{bound['recall_at_0.7']:.1%} at 0.7. If all were classified right, the mean "
        f"average precision would be {bound['perfect_classification']:.1%}."
    )


def scaling(results):
    """Return the table of predicted efficiencies."""
    cells = {}
    for row in read_csv(results / "scaling.csv"):
        key = (row["net"], row["network"], row["strategy"])
        low, high = (f"{100 * row[n]:.0f}" for n in ("not_overlapped", "overlapped"))
        text = low if low == high else f"{low} to {high}"
        cells.setdefault(key, {})[row["gpus"]] = f"{text} %"
    gpus = (8, 16, 64, 256, 1024)
    rows = [[*key, *(by_gpus[n] for n in gpus)] for key, by_gpus in cells.items()]
    header = ["net", "network", "gradients", *(f"{n} GPUs" for n in gpus)]
    return markdown(header, rows)


def scaling_checks(results):
    """Return the table of predicted and published efficiencies."""
    rows = [
        [
            row["net"],
            row["gpus"],
            row["images_per_gpu"],
            *(
                f"{100 * row[name]:.0f} %"
                for name in ("published", "not_overlapped", "overlapped")
            ),
            row["source"],
        ]
        for row in read_csv(results / "scaling_checks.csv")
    ]
    return markdown(
        [
            "net",
            "GPUs",
            "images per GPU",
            "published efficiency",
            "predicted, no overlap",
            "full overlap",
            "source",
        ],
        rows,
    )
