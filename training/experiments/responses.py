"""Mean responses and Fisher information of trained nets, ReLU against PReLU (2.1).

    python training/experiments/responses.py --output=training/results

Takes the 14-layer nets that rectifiers.py has trained, or trains them. Writes
responses.csv and, with the full setting, docs/images/responses.png. Besides the
training it takes about two minutes on one core.
"""

import _runs
from _program import mean_and_spread, plt, program, write, write_config

from keras_prelu import analysis, data

RECTIFIERS = {"relu": "ReLU", "prelu": "PReLU"}
PICTURES = 128
COLUMNS = {
    "offset": "mean response over its deviation",
    "block": "Fisher information, block: largest over mean",
    "diagonal": "Fisher information, diagonal: largest over mean",
}


def runs(rectifier, place):
    """Returns the runs with a rectifier, one for each seed."""
    return [_runs.Run("model14", rectifier, seed) for seed in place.seeds]


def measure(model, rectifier, images):
    """Returns what was measured of each hidden layer, by its name.

    `offset` is of the rectifier's output; the Fisher information is of the weights
    before it.
    """
    answers = {row.name: row for row in analysis.responses(model, images)}
    found = {}
    for row in analysis.fisher(model, images):
        prefix = "_" if row.name.startswith("fc") else ""
        after = answers.get(f"{rectifier}{prefix}{row.name.removeprefix('conv')}")
        if after is not None:  # the classifier has no rectifier
            found[row.name] = {
                "offset": abs(after.mean) / after.std,
                "block": row.block,
                "diagonal": row.diagonal,
            }
    return found


def rows(place):
    """Returns a row for each rectifier and layer: means over the seeds."""
    _, source = _runs.sources(place.setting)
    table = []
    for rectifier, label in RECTIFIERS.items():
        found = []
        for run in runs(rectifier, place):
            config = _runs.configuration(run, place.setting).data
            batches = data.eval_batches(
                source, PICTURES, image_size=config.image_size, scale=config.eval_scale
            )
            images = next(iter(batches))[0].numpy()
            found.append(measure(_runs.load(run, place), rectifier, images))
        for layer in found[0]:
            row = {"rectifier": label, "layer": layer}
            for name in COLUMNS:
                values = [by_layer[layer][name] for by_layer in found]
                row[name], row[f"{name}_spread"] = mean_and_spread(values)
            table.append(row)
    return table


def draw(table, place):
    """Draws each figure by depth."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for axis, (name, title) in zip(axes, COLUMNS.items(), strict=True):
        for label in RECTIFIERS.values():
            chosen = [row for row in table if row["rectifier"] == label]
            axis.errorbar(
                [row["layer"] for row in chosen],
                [row[name] for row in chosen],
                [row[f"{name}_spread"] for row in chosen],
                fmt="o-",
                capsize=3,
                label=label,
            )
        axis.set_title(title, fontsize=10)
        axis.tick_params(axis="x", rotation=60)
        axis.grid(axis="y", alpha=0.3)
    axes[1].set_yscale("log")
    axes[2].set_yscale("log")
    axes[0].legend()
    figure.suptitle(
        f"Trained 14-layer nets: mean and spread of {len(place.seeds)} seeds"
    )
    place.save(figure, "responses")


def run(place):
    """Trains what is missing, measures, writes, draws."""
    needed = [r for rectifier in RECTIFIERS for r in runs(rectifier, place)]
    if _runs.train_all(needed, place):
        table = rows(place)
        write(place.output / "responses.csv", table)
        write_config(place.output / "responses.json", pictures=PICTURES)
        draw(table, place)


if __name__ == "__main__":
    program(run)
