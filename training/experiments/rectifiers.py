"""The 14-layer network with different rectifiers (Table 2 and Figure 4).

    python -m training.experiments.rectifiers --output=training/results

Each rectifier is trained at its own best learning rate. Writes rectifiers.csv (errors
after the last epoch), rectifiers_sweep.csv (the rates), rectifiers_claims.csv,
rectifiers_step.csv (the time of a training step) and, with the full setting,
docs/images/rectifiers.png. The full setting takes about four hours on one core.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator

from benchmarks._measure import interleaved, machine
from training.experiments import arms, training_runs
from training.experiments.comparison import band, compare, mean_and_spread
from training.experiments.experiment import plt, program

# For each label in tables and figures: the activation, and how its slopes are learned.
RECTIFIERS = {
    "ReLU": ("relu", "learned"),
    "Leaky ReLU 0.01": ("leaky_relu", "learned"),
    "Leaky ReLU 0.25": ("prelu", "fixed"),
    "PReLU shared": ("prelu_shared", "learned"),
    "PReLU channel-wise": ("prelu", "learned"),
}
COLUMNS = {
    "loss": "training loss",
    "top1_error": "training top-1 error",
    "val_loss": "validation loss",
    "val_top1_error": "validation top-1 error",
    "val_top5_error": "validation top-5 error",
}


ARMS = {
    label: arms.Arm("model14", activation, slopes)
    for label, (activation, slopes) in RECTIFIERS.items()
}


def errors(label, experiment):
    """Return the row of a rectifier: means over the seeds after the last epoch."""
    rate = training_runs.best_rate(ARMS[label], experiment)
    row = {"rectifier": label, "seeds": len(experiment.seeds), "rate": rate}
    for name in COLUMNS:
        row[name], row[f"{name}_spread"] = mean_and_spread(
            training_runs.last(
                training_runs.runs_of(ARMS[label], experiment), experiment, name
            )
        )
    return row


def sweep(experiment):
    """Return a row for each rectifier and learning rate, with the sweep's seed."""
    return [
        {
            "rectifier": label,
            "rate": run.rate,
            **{name: training_runs.final(run, experiment, name) for name in COLUMNS},
        }
        for label, arm in ARMS.items()
        for run in training_runs.sweep(arm, experiment)
    ]


def claims(experiment):
    """Return the paper's claims about rectifiers, each with our verdict."""
    runs = {
        label: training_runs.runs_of(arm, experiment) for label, arm in ARMS.items()
    }
    error, loss = (
        {label: training_runs.last(runs[label], experiment, name) for label in ARMS}
        for name in ("val_top1_error", "loss")
    )
    prelu, shared, relu = "PReLU channel-wise", "PReLU shared", "ReLU"
    return [
        compare("PReLU has a lower error than ReLU", error[prelu], error[relu], -1),
        compare(
            "Shared PReLU has a lower error than ReLU", error[shared], error[relu], -1
        ),
        compare(
            "PReLU has a lower training loss than ReLU", loss[prelu], loss[relu], -1
        ),
        compare(
            "PReLU has a lower error than a slope fixed at 0.25",
            error[prelu],
            error["Leaky ReLU 0.25"],
            -1,
        ),
        compare(
            "Channel-wise slopes have a lower error than shared ones",
            error[prelu],
            error[shared],
            -1,
        ),
    ]


def step_times(experiment):
    """Return the time of a training step with each rectifier."""
    rng = np.random.default_rng(0)
    functions = {}
    for label in RECTIFIERS:
        run = training_runs.sweep(ARMS[label], experiment)[0]
        config = arms.configuration(run, experiment.setting)
        _, trained = arms.build(run, experiment.setting)
        side, batch = config.data.image_size, config.batch_size
        x = rng.integers(0, 256, (batch, side, side, 3)).astype("float32")
        y = rng.integers(0, 16, batch)
        functions[label] = lambda m=trained, x=x, y=y: m.train_on_batch(x, y)
    seconds = interleaved(functions, rounds=2 if experiment.is_small else 100, warmup=3)
    return [
        {
            "rectifier": label,
            "milliseconds": 1000 * value,
            "of_relu": value / seconds["ReLU"],
            "batch": config.batch_size,
            "machine": machine(),
        }
        for label, value in seconds.items()
    ]


def draw(experiment):
    """Draw the training and validation error of each epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for axis, name in zip(axes, ("top1_error", "val_top1_error"), strict=True):
        for label in RECTIFIERS:
            curves = [
                [100 * error for error in training_runs.column(run, experiment, name)]
                for run in training_runs.runs_of(ARMS[label], experiment)
            ]
            band(axis, range(1, len(curves[0]) + 1), curves, label=label)
        axis.set(xlabel="epoch", ylabel=f"{COLUMNS[name]}, %")
        axis.set_ylim(bottom=0)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[1].legend()
    seeds = len(experiment.seeds)
    figure.suptitle(
        f"14-layer network on shapes: mean and standard deviation of {seeds} seeds"
    )
    experiment.save(figure, "rectifiers")


def run(experiment):
    """Train what is missing, write the tables and draw the figure."""
    if not training_runs.train_arms(list(ARMS.values()), experiment):
        return
    for name, rows in (
        ("rectifiers", [errors(label, experiment) for label in ARMS]),
        ("rectifiers_sweep", sweep(experiment)),
        ("rectifiers_claims", claims(experiment)),
    ):
        experiment.write(name, rows)
    if not (experiment.output / "rectifiers_step.csv").exists():
        experiment.write("rectifiers_step", step_times(experiment))
    draw(experiment)


if __name__ == "__main__":
    program(run)
