"""The slopes that are learned (Table 1), and what weight decay makes of them.

    python -m training.experiments.slopes --output=training/results

Writes slopes.csv, slopes_errors.csv (validation errors), slopes_claims.csv and, with
the full setting, docs/images/slopes.png. Takes the runs without decay from
rectifiers.py if they are there; those with decay have the same learning rate. The full
setting takes about an hour more on one core.
"""

import statistics

from scipy import stats

from training.experiments import _runs
from training.experiments._program import compare, mean_and_spread, plt, program, write

# Table 1 of the paper: shared, and the mean over the channels.
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


def runs(form, case, place):
    """Returns the runs of a form of PReLU, one for each seed."""
    without_decay = _runs.Arm("model14", form)
    with_decay = without_decay._replace(slopes=case)
    return [run._replace(arm=with_decay) for run in _runs.runs_of(without_decay, place)]


def last_slopes(run, place):
    """Returns the mean slope of each layer after the last epoch, by its name."""
    rows = _runs.table(run, place, "slopes.csv")
    return {
        row["layer"].removeprefix("prelu"): row["mean"]
        for row in rows
        if row["epoch"] == rows[-1]["epoch"]
    }


def rows(place):
    """Returns a row for each layer: the paper's slopes, and means over our seeds."""
    found = {
        (form, case): [last_slopes(run, place) for run in runs(form, case, place)]
        for form in FORMS
        for case in CASES
    }
    table = []
    for layer, published in PAPER.items():
        row = {"layer": f"conv{layer}" if layer[0] != "_" else layer[1:]}
        for form, value in zip(FORMS, published, strict=True):
            row[f"{FORMS[form]}, paper"] = value
            for case in CASES:
                values = [slopes[layer] for slopes in found[form, case]]
                name = f"{FORMS[form]}, {CASES[case]}"
                row[name], row[f"{name}, spread"] = mean_and_spread(values)
        table.append(row)
    return table


def errors(place):
    """Returns a row for each form of PReLU: its errors after the last epoch."""
    table = []
    for form, title in FORMS.items():
        row = {"slopes": title}
        for case, name in CASES.items():
            row[name], row[f"{name}_spread"] = mean_and_spread(
                _runs.last(runs(form, case, place), place, "val_top1_error")
            )
        table.append(row)
    return table


def claims(place):
    """Returns what the paper says of slopes, each with our verdict."""
    table = []
    for form, title in FORMS.items():
        learned, decayed = (
            [list(last_slopes(run, place).values()) for run in runs(form, case, place)]
            for case in CASES
        )
        # Spearman's correlation of slope and depth, for each seed, against none.
        trends = [stats.spearmanr(range(len(s)), s).statistic for s in learned]
        zeros = [0.0] * len(trends)
        means = [[statistics.mean(s) for s in slopes] for slopes in (decayed, learned)]
        wrong = [
            _runs.last(runs(form, case, place), place, "val_top1_error")
            for case in ("decayed", "learned")
        ]
        table += [
            compare(f"Slopes fall with depth ({title})", trends, zeros, -1),
            compare(f"Decay pulls slopes towards 0 ({title})", *means, -1),
            compare(f"Decay of the slopes raises the error ({title})", *wrong, 1),
        ]
    return table


def draw(table, place):
    """Draws the slopes by depth, ours beside the paper's."""
    figure, axes = plt.subplots(
        1, 2, figsize=(12, 4.5), layout="constrained", sharey=True
    )
    places = range(len(table))
    for axis, form in zip(axes, FORMS.values(), strict=True):
        published = [row[f"{form}, paper"] for row in table]
        axis.plot(places, published, "k--", marker="x", label="the paper, on ImageNet")
        for case in CASES.values():
            name = f"{form}, {case}"
            axis.errorbar(
                places,
                [row[name] for row in table],
                [row[f"{name}, spread"] for row in table],
                fmt="o-",
                capsize=3,
                label=f"ours, on shapes, {case}",
            )
        axis.axhline(0.25, color="grey", linewidth=0.8, linestyle=":")
        axis.set_xticks(places, [row["layer"] for row in table], rotation=60)
        axis.set(title=f"{form} slopes", ylabel="slope")
        axis.grid(axis="y", alpha=0.3)
    axes[0].legend()
    figure.suptitle("Dotted: every slope at the start")
    place.save(figure, "slopes")


def run(place):
    """Trains what is missing, writes, draws."""
    arms = [_runs.Arm("model14", form) for form in FORMS]
    if not _runs.train_arms(arms, place):
        return
    needed = [r for form in FORMS for case in CASES for r in runs(form, case, place)]
    if _runs.train_all(needed, place):
        table = rows(place)
        write(place.output / "slopes.csv", table)
        write(place.output / "slopes_errors.csv", errors(place))
        write(place.output / "slopes_claims.csv", claims(place))
        draw(table, place)


if __name__ == "__main__":
    program(run)
