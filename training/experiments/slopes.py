"""The learned slopes (Table 1), with and without weight decay.

    python -m training.experiments.slopes --output=training/results

Writes slopes.csv, slopes_errors.csv (validation errors), slopes_claims.csv and, with
the full setting, docs/images/slopes.png. The runs without decay are shared with
rectifiers.py; those with decay have the same learning rate. The full setting takes
about one more hour on one core.
"""

import statistics

from scipy import stats

from training.experiments import arms, training_runs
from training.experiments.comparison import compare, mean_and_spread
from training.experiments.experiment import plt, program

# Table 1 of the paper: the shared slope, and the mean over the channels.
PAPER = {
    "1": (0.681, 0.596),
    "2_1": (0.103, 0.321),
    "2_2": (0.099, 0.204),
    "2_3": (0.228, 0.294),
    "2_4": (0.561, 0.464),
    "3_1": (0.126, 0.196),
    "3_2": (0.089, 0.152),
    "3_3": (0.124, 0.145),
    "3_4": (0.062, 0.124),
    "3_5": (0.008, 0.134),
    "3_6": (0.210, 0.198),
    "_fc1": (0.063, 0.074),
    "_fc2": (0.031, 0.075),
}
FORMS = {"prelu_shared": "shared", "prelu": "channel-wise"}
CASES = {"learned": "without decay", "decayed": "with decay"}


def runs(form, case, experiment):
    """Return the runs of a form of PReLU, one for each seed."""
    without_decay = arms.Arm("model14", form)
    with_decay = without_decay._replace(slopes=case)
    return [
        run._replace(arm=with_decay)
        for run in training_runs.runs_of(without_decay, experiment)
    ]


def last_slopes(run, experiment):
    """Return the mean slope of each layer after the last epoch, by the layer's name."""
    rows = training_runs.table(run, experiment, "slopes.csv")
    return {
        row["layer"].removeprefix("prelu"): row["mean"]
        for row in rows
        if row["epoch"] == rows[-1]["epoch"]
    }


def rows(experiment):
    """Return a row for each layer, with the paper's slopes and means over our seeds."""
    slopes_of = {
        (form, case): [
            last_slopes(run, experiment) for run in runs(form, case, experiment)
        ]
        for form in FORMS
        for case in CASES
    }
    table = []
    for layer, published in PAPER.items():
        row = {"layer": f"conv{layer}" if layer[0] != "_" else layer[1:]}
        for form, value in zip(FORMS, published, strict=True):
            row[f"{FORMS[form]}, paper"] = value
            for case in CASES:
                values = [slopes[layer] for slopes in slopes_of[form, case]]
                name = f"{FORMS[form]}, {CASES[case]}"
                row[name], row[f"{name}, spread"] = mean_and_spread(values)
        table.append(row)
    return table


def errors(experiment):
    """Return a row for each form of PReLU, with its errors after the last epoch."""
    table = []
    for form, title in FORMS.items():
        row = {"slopes": title}
        for case, name in CASES.items():
            row[name], row[f"{name}_spread"] = mean_and_spread(
                training_runs.last(
                    runs(form, case, experiment), experiment, "val_top1_error"
                )
            )
        table.append(row)
    return table


def claims(experiment):
    """Return the paper's claims about slopes, each with our verdict."""
    table = []
    for form, title in FORMS.items():
        learned, decayed = (
            [
                list(last_slopes(run, experiment).values())
                for run in runs(form, case, experiment)
            ]
            for case in CASES
        )
        # Spearman's correlation of slope and depth for each seed is compared with 0.
        trends = [stats.spearmanr(range(len(s)), s).statistic for s in learned]
        zeros = [0.0] * len(trends)
        means = [[statistics.mean(s) for s in slopes] for slopes in (decayed, learned)]
        wrong = [
            training_runs.last(
                runs(form, case, experiment), experiment, "val_top1_error"
            )
            for case in ("decayed", "learned")
        ]
        table += [
            compare(f"Slopes fall with depth ({title})", trends, zeros, -1),
            compare(f"Decay pulls slopes towards 0 ({title})", *means, -1),
            compare(f"Decay of the slopes raises the error ({title})", *wrong, 1),
        ]
    return table


def draw(table, experiment):
    """Draw our slopes and the paper's by layer."""
    figure, axes = plt.subplots(
        1, 2, figsize=(11, 4.5), layout="constrained", sharey=True
    )
    positions = range(len(table))
    for axis, form in zip(axes, FORMS.values(), strict=True):
        published = [row[f"{form}, paper"] for row in table]
        axis.plot(
            positions, published, "k--", marker="x", label="the paper, on ImageNet"
        )
        for case in CASES.values():
            name = f"{form}, {case}"
            axis.errorbar(
                positions,
                [row[name] for row in table],
                [row[f"{name}, spread"] for row in table],
                fmt="o-",
                capsize=3,
                label=f"ours, on shapes, {case}",
            )
        axis.axhline(0.25, color="grey", linewidth=0.8, linestyle=":")
        axis.set_xticks(positions, [row["layer"] for row in table], rotation=60)
        axis.set(title=f"{form} slopes", xlabel="layer")
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("slope")
    axes[0].legend()
    figure.suptitle(
        "14-layer network: mean and standard deviation of "
        f"{len(experiment.seeds)} seeds; dotted: every slope at the start"
    )
    experiment.save(figure, "slopes")


def run(experiment):
    """Train what is missing, write the tables and draw the figure."""
    learned = [arms.Arm("model14", form) for form in FORMS]
    if not training_runs.train_arms(learned, experiment):
        return
    needed = [
        r for form in FORMS for case in CASES for r in runs(form, case, experiment)
    ]
    if training_runs.train_all(needed, experiment):
        table = rows(experiment)
        experiment.write("slopes", table)
        experiment.write("slopes_errors", errors(experiment))
        experiment.write("slopes_claims", claims(experiment))
        draw(table, experiment)


if __name__ == "__main__":
    program(run)
