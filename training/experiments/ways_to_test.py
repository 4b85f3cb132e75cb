"""Ways to test (Table 4): crops, views, dense testing, scales, flips and ensembles.

    python -m training.experiments.ways_to_test --output=training/results

Trains model A with ReLU and with PReLU, each at its own best learning rate and with the
paper's scale jitter, and tests both at the same scales in every way. Ensembles are
tested as in the paper, densely. Writes scales.csv, scales_ensembles.csv,
scales_claims.csv and, with the full setting, docs/images/scales.png. The full setting
takes about five hours on one core.
"""

from keras_prelu.evaluation import evaluate
from training.experiments import arms, training_runs
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import fill, plt, program

RECTIFIERS = {"relu": "ReLU", "prelu": "PReLU"}
ARMS = {name: arms.Arm("model_a", name) for name in RECTIFIERS}
PAPERS_WAY = "dense, flipped too"
# Name of a way to test: protocol, and whether flipped images are tested too.
WAYS = {
    "center crop": ("center", False),
    "five views": ("ten_view", False),
    "ten views": ("ten_view", True),
    "dense": ("dense", False),
    PAPERS_WAY: ("dense", True),
}
SCALES = (8 / 7, 12 / 7, 15 / 7)  # of the crop: 256, 384 and 480 where it is 224
ALL_SCALES = "all"
KINDS = ("top1_error", "top5_error")


def runs(rectifier, experiment):
    """Return the runs with a rectifier, one for each seed."""
    return training_runs.runs_of(ARMS[rectifier], experiment)


def ensembles(experiment):
    """Return the runs of each ensemble by name: of each rectifier, and of both."""
    by_rectifier = {name: runs(name, experiment) for name in RECTIFIERS}
    return {**by_rectifier, "both": sum(by_rectifier.values(), [])}


def sides(experiment):
    """Return the shorter sides at which to test."""
    config = arms.configuration(runs("relu", experiment)[0], experiment.setting)
    return tuple(round(config.data.image_size * scale) for scale in SCALES)


def evaluations(experiment):
    """Return the rows of all evaluations: one for each scale, and for all scales."""
    together = ensembles(experiment)
    alone = {run.name: [run] for run in together["both"]}
    sets = {**alone, **together}
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

    cells = [
        *({"models": name, "way": way} for name in alone for way in WAYS),
        *({"models": name, "way": PAPERS_WAY} for name in together),
    ]
    return fill(experiment.output / "scales_by_model.csv", cells, measure)


def by_seed(rows, experiment, rectifier, way, scale, kind="top1_error"):
    """Return the errors of a rectifier's networks for one way to test."""
    errors = {
        row["models"]: row[kind]
        for row in rows
        if (row["way"], str(row["scale"])) == (way, str(scale))
    }
    return [errors[run.name] for run in runs(rectifier, experiment)]


def summary(rows, experiment):
    """Return a row for each way to test, with the mean errors of single networks."""
    table = []
    for way in WAYS:
        for scale in (*sides(experiment), ALL_SCALES):
            row = {"way": way, "scale": scale}
            for name in RECTIFIERS:
                for kind in KINDS:
                    values = by_seed(rows, experiment, name, way, scale, kind)
                    key = f"{name}_{kind}"
                    row[key], row[f"{key}_spread"] = mean_and_spread(values)
            table.append(row)
    return table


def place(scale):
    """Return a scale in words."""
    return "all scales" if scale == ALL_SCALES else f"at {scale}"


def claims(rows, experiment):
    """Return the paper's claims about ways to test, each with our verdict.

    PReLU is not tested against ReLU if the training loss of one was still falling.
    """
    smallest, middle, largest = sides(experiment)

    def errors(rectifier, way, scale):
        return by_seed(rows, experiment, rectifier, way, scale)

    both = [runs(name, experiment) for name in RECTIFIERS]
    of_rectifiers = [
        compare(
            f"PReLU has a lower error than ReLU, dense, {place(scale)}",
            errors("prelu", PAPERS_WAY, scale),
            errors("relu", PAPERS_WAY, scale),
            -1,
        )
        for scale in (smallest, middle, largest, ALL_SCALES)
    ]
    return [
        *(
            training_runs.tested_if_flat(claim, both, experiment)
            for claim in of_rectifiers
        ),
        compare(
            "Several scales have a lower error than the middle one (PReLU, dense)",
            errors("prelu", PAPERS_WAY, ALL_SCALES),
            errors("prelu", PAPERS_WAY, middle),
            -1,
        ),
        *(
            compare(
                f"Dense has a lower error than ten views {place(scale)} (PReLU)",
                errors("prelu", PAPERS_WAY, scale),
                errors("prelu", "ten views", scale),
                -1,
            )
            for scale in (middle, largest)
        ),
    ]


def label(row):
    """Return a way to test in words."""
    return f"{row['way']}, {place(row['scale'])}"


def draw(table, of_ensembles, experiment):
    """Draw the top-1 error of each way to test."""
    figure, axis = plt.subplots(figsize=(9, 7.5), layout="constrained")
    labels = [label(row) for row in table]
    for name, title in RECTIFIERS.items():
        key = f"{name}_top1_error"
        axis.errorbar(
            [100 * row[key] for row in table],
            range(len(table)),
            xerr=[100 * row[f"{key}_spread"] for row in table],
            fmt="o",
            markersize=4,
            capsize=3,
            label=f"{title}, one network",
        )
    titles = {**RECTIFIERS, "both": "ReLU and PReLU"}
    for name, members in ensembles(experiment).items():
        rows = [row for row in of_ensembles if row["models"] == name]
        axis.plot(
            [100 * row["top1_error"] for row in rows],
            [labels.index(label(row)) + 0.3 for row in rows],  # below single nets
            "d",
            markersize=5,
            label=f"{titles[name]}, {len(members)} networks",
        )
    axis.set_yticks(range(len(labels)), labels)
    axis.invert_yaxis()
    axis.set(
        xlabel="top-1 error, %",
        title="Model A on shapes, by way to test and shorter side in pixels",
    )
    axis.grid(alpha=0.3)
    axis.legend()
    experiment.save(figure, "scales")


def run(experiment):
    """Train what is missing, evaluate, write the tables and draw the figure."""
    if training_runs.train_arms(list(ARMS.values()), experiment):
        rows = evaluations(experiment)
        table = summary(rows, experiment)
        experiment.write("scales", table)
        names = set(ensembles(experiment))
        of_ensembles = [row for row in rows if row["models"] in names]
        experiment.write("scales_ensembles", of_ensembles)
        experiment.write("scales_claims", claims(rows, experiment))
        experiment.write_config("scales", scales_of_input_size=SCALES)
        draw(table, of_ensembles, experiment)


if __name__ == "__main__":
    program(run)
