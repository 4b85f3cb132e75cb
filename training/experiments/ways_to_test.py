"""Ways to test (Table 4): crops, views, dense testing, scales, flips and ensembles.

    python -m training.experiments.ways_to_test --output=training/results

Trains model A with ReLU and with PReLU, each at its own best learning rate and with the
paper's scale jitter, and tests both at the same scales in every way. Writes scales.csv,
scales_claims.csv and, with the full setting, docs/images/scales.png. The full setting
takes about four hours on one core.
"""

from keras_prelu.evaluation import evaluate
from training.experiments import arms, training_runs
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import fill, plt, program

RECTIFIERS = {"relu": "ReLU", "prelu": "PReLU"}
ARMS = {name: arms.Arm("model_a", name) for name in RECTIFIERS}
# Name of a way to test: protocol, and whether flipped images are tested too.
WAYS = {
    "center crop": ("center", False),
    "five views": ("ten_view", False),
    "ten views": ("ten_view", True),
    "dense": ("dense", False),
    "dense, flipped too": ("dense", True),
}
SCALES = (8 / 7, 12 / 7, 15 / 7)  # of the crop: 256, 384 and 480 where it is 224
ALL_SCALES = "all"
ALL = "all"


def runs(rectifier, experiment):
    """Return the runs with a rectifier, one for each seed."""
    return training_runs.runs_of(ARMS[rectifier], experiment)


def ensembles(experiment):
    """Return the runs of each ensemble by name: single runs, by rectifier, and all."""
    by_rectifier = {name: runs(name, experiment) for name in RECTIFIERS}
    every = [run for several in by_rectifier.values() for run in several]
    alone = {run.name: [run] for run in every}
    together = {f"{name}, ensemble": several for name, several in by_rectifier.items()}
    return {**alone, **together, f"{ALL}, ensemble": every}


def sides(experiment):
    """Return the shorter sides at which to test."""
    config = arms.configuration(runs("relu", experiment)[0], experiment.setting)
    return tuple(round(config.data.image_size * scale) for scale in SCALES)


def evaluations(experiment):
    """Return the rows of all evaluations: one for each scale, and for all scales."""
    sets = ensembles(experiment)
    _, source = arms.sources(experiment.setting)

    def measure(cell):
        protocol, flip = WAYS[cell["way"]]
        evaluation = evaluate(
            [training_runs.load(run, experiment) for run in sets[cell["models"]]],
            source,
            protocol,
            sides(experiment),
            flip=flip,
            batch_size=64,
        )
        errors = dict(evaluation.by_scale)
        errors[ALL_SCALES] = (evaluation.top1, evaluation.top5)
        return [
            {"scale": scale, "top1_error": top1, "top5_error": top5}
            for scale, (top1, top5) in errors.items()
        ]

    cells = [{"models": name, "way": way} for name in sets for way in WAYS]
    return fill(experiment.output / "scales_by_model.csv", cells, measure)


def by_seed(rows, experiment, rectifier, way, scale):
    """Return the top-1 errors of a rectifier's networks for one way to test."""
    names = [run.name for run in runs(rectifier, experiment)]
    errors = {
        row["models"]: row["top1_error"]
        for row in rows
        if (row["way"], str(row["scale"])) == (way, str(scale))
    }
    return [errors[name] for name in names]


def summary(rows, experiment):
    """Return a row for each way to test, with single networks and ensembles."""
    errors = {}
    for row in rows:
        errors.setdefault((row["way"], row["scale"]), {})[row["models"]] = row
    table = []
    for (way, scale), by_models in errors.items():
        row = {"way": way, "scale": scale}
        for name in RECTIFIERS:
            for kind in ("top1_error", "top5_error"):
                values = [by_models[run.name][kind] for run in runs(name, experiment)]
                key = f"{name}_{kind}"
                row[key], row[f"{key}_spread"] = mean_and_spread(values)
        for name in (*RECTIFIERS, ALL):
            for kind in ("top1_error", "top5_error"):
                key = f"{name}_ensemble_{kind}"
                row[key] = by_models[f"{name}, ensemble"][kind]
        table.append(row)
    return table


def claims(rows, experiment):
    """Return the paper's claims about ways to test, each with our verdict."""
    smallest, middle, largest = sides(experiment)

    def errors(rectifier, way, scale):
        return by_seed(rows, experiment, rectifier, way, scale)

    flipped = "dense, flipped too"
    table = [
        compare(
            f"PReLU has a lower error than ReLU, dense at {scale}",
            errors("prelu", flipped, scale),
            errors("relu", flipped, scale),
            -1,
        )
        for scale in (smallest, middle, largest, ALL_SCALES)
    ]
    return [
        *table,
        compare(
            "Several scales have a lower error than the middle one (PReLU, dense)",
            errors("prelu", flipped, ALL_SCALES),
            errors("prelu", flipped, middle),
            -1,
        ),
        *(
            compare(
                f"Dense has a lower error than ten views at {scale} (PReLU)",
                errors("prelu", flipped, scale),
                errors("prelu", "ten views", scale),
                -1,
            )
            for scale in (middle, largest)
        ),
    ]


def label(row):
    """Return a way to test in words."""
    scale = "all scales" if row["scale"] == ALL_SCALES else f"at {row['scale']}"
    return f"{row['way']}, {scale}"


def draw(table, experiment):
    """Draw the top-1 error of each way to test."""
    figure, axis = plt.subplots(figsize=(9, 6.5), layout="constrained")
    rows = range(len(table))
    for name, title in RECTIFIERS.items():
        key = f"{name}_top1_error"
        axis.errorbar(
            [100 * row[key] for row in table],
            rows,
            xerr=[100 * row[f"{key}_spread"] for row in table],
            fmt="o",
            capsize=3,
            label=f"{title}, one network",
        )
    for name, title in (*RECTIFIERS.items(), (ALL, "ReLU and PReLU")):
        members = (2 if name == ALL else 1) * len(experiment.seeds)
        axis.plot(
            [100 * row[f"{name}_ensemble_top1_error"] for row in table],
            rows,
            "d",
            label=f"{title}, {members} networks",
        )
    axis.set_yticks(rows, [label(row) for row in table])
    axis.invert_yaxis()
    axis.set(xlabel="top-1 error, %", title="Model A on shapes, by way to test")
    axis.grid(alpha=0.3)
    axis.legend()
    experiment.save(figure, "scales")


def run(experiment):
    """Train what is missing, evaluate, write the tables and draw the figure."""
    if training_runs.train_arms(list(ARMS.values()), experiment):
        rows = evaluations(experiment)
        table = summary(rows, experiment)
        experiment.write("scales", table)
        experiment.write("scales_claims", claims(rows, experiment))
        experiment.write_config("scales", scales_of_input_size=SCALES)
        draw(table, experiment)


if __name__ == "__main__":
    program(run)
