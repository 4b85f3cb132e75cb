"""Ways to test (Table 4): crops, views, dense at several scales, flips, ensembles.

    python training/experiments/scales.py --output=training/results

Trains model A with ReLU and with PReLU. Writes scales.csv and, with the full setting,
docs/images/scales.png. The full setting takes about an hour on one core.
"""

import _runs
from _program import fill, mean_and_spread, plt, program, write, write_config

from keras_prelu.evaluation import evaluate

RECTIFIERS = {"relu": "ReLU", "prelu": "PReLU"}
ALL = "all"
# Scales as multiples of the net's input size; 256 is 8 / 7 of 224.
PROTOCOLS = {"center": (9 / 8,), "ten_view": (9 / 8,), "dense": (1, 9 / 8, 5 / 4)}
ALL_SCALES = "all"


def runs(rectifier, place):
    """Returns the runs with a rectifier, one for each seed."""
    return [_runs.Run("model_a", rectifier, seed) for seed in place.seeds]


def ensembles(place):
    """Returns the sets of runs to average, by name: each alone, by rectifier, all."""
    by_rectifier = {name: runs(name, place) for name in RECTIFIERS}
    every = [run for several in by_rectifier.values() for run in several]
    alone = {run.name: [run] for run in every}
    together = {f"{name}, ensemble": several for name, several in by_rectifier.items()}
    return {**alone, **together, f"{ALL}, ensemble": every}


def evaluations(place):
    """Returns the rows of all evaluations, a row for each scale and their average."""
    sets = ensembles(place)
    _, source = _runs.sources(place.setting)
    first = sets[f"{ALL}, ensemble"][0]
    side = _runs.configuration(first, place.setting).data.image_size

    def measure(cell):
        found = evaluate(
            [_runs.load(run, place) for run in sets[cell["models"]]],
            source,
            cell["protocol"],
            tuple(round(side * factor) for factor in PROTOCOLS[cell["protocol"]]),
            flip=cell["flip"],
            batch_size=64,
        )
        errors = dict(found.by_scale)
        if len(errors) > 1:
            errors[ALL_SCALES] = (found.top1, found.top5)
        return [
            {"scale": scale, "top1_error": top1, "top5_error": top5}
            for scale, (top1, top5) in errors.items()
        ]

    cells = [
        {"models": name, "protocol": protocol, "flip": flip}
        for name in sets
        for protocol in PROTOCOLS
        for flip in (False, True)
    ]
    return fill(place.output / "scales_by_model.csv", cells, measure)


def summary(rows, place):
    """Returns a row for each way to test: single nets by rectifier, and ensembles."""
    errors = {}
    for row in rows:
        way = (row["protocol"], str(row["flip"]), row["scale"])
        errors.setdefault(way, {})[row["models"]] = row
    table = []
    for (protocol, flip, scale), found in errors.items():
        row = {"protocol": protocol, "flip": flip, "scale": scale}
        for name in RECTIFIERS:
            for kind in ("top1_error", "top5_error"):
                values = [found[run.name][kind] for run in runs(name, place)]
                key = f"{name}_{kind}"
                row[key], row[f"{key}_spread"] = mean_and_spread(values)
        for name in (*RECTIFIERS, ALL):
            for kind in ("top1_error", "top5_error"):
                row[f"{name}_ensemble_{kind}"] = found[f"{name}, ensemble"][kind]
        table.append(row)
    return table


def label(row):
    """Returns a way to test in words."""
    scale = "all scales" if row["scale"] == ALL_SCALES else f"at {row['scale']}"
    mirrored = ", mirrored too" if row["flip"] == "True" else ""
    return f"{row['protocol'].replace('_', ' ')} {scale}{mirrored}"


def draw(table, place):
    """Draws the top-1 error of each way to test."""
    figure, axis = plt.subplots(figsize=(9, 6.5), layout="constrained")
    places = range(len(table))
    for name, title in RECTIFIERS.items():
        key = f"{name}_top1_error"
        axis.errorbar(
            [100 * row[key] for row in table],
            places,
            xerr=[100 * row[f"{key}_spread"] for row in table],
            fmt="o",
            capsize=3,
            label=f"{title}, one net",
        )
    for name, title in (*RECTIFIERS.items(), (ALL, "ReLU and PReLU")):
        members = (2 if name == ALL else 1) * len(place.seeds)
        axis.plot(
            [100 * row[f"{name}_ensemble_top1_error"] for row in table],
            places,
            "d",
            label=f"{title}, {members} nets",
        )
    axis.set_yticks(places, [label(row) for row in table])
    axis.invert_yaxis()
    axis.set(xlabel="top-1 error, %", title="Model A on shapes, by way of testing")
    axis.grid(alpha=0.3)
    axis.legend()
    place.save(figure, "scales")


def run(place):
    """Trains, evaluates, writes, draws."""
    needed = [r for name in RECTIFIERS for r in runs(name, place)]
    if _runs.train_all(needed, place):
        table = summary(evaluations(place), place)
        write(place.output / "scales.csv", table)
        write_config(place.output / "scales.json", scales_of_input_size=PROTOCOLS)
        draw(table, place)


if __name__ == "__main__":
    program(run)
