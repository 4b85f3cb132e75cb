"""Write the tables of the documentation from the results, and draw first_try.png.

    python -m training.experiments.tables

A table stands between `<!-- NAME -->` and `<!-- end -->`, below its figure. For an
experiment that was not run, its command stands there instead. The other figures are
drawn by their experiments.
"""

import pathlib
import re

from training.experiments import (
    initialization_figures,
    initialization_tables,
    page_tables,
)
from training.experiments.experiment import ROOT, Experiment

RESULTS = ROOT / "training" / "results"
PAGES = [ROOT / "docs" / name for name in ("reproducing.md", "differences.md")]
# For each table: the function that makes it, and the experiment that writes its
# results, or None for all of them.
TABLES = {
    "claims": (page_tables.claims, None),
    "start_verdicts": (initialization_tables.start_verdicts, "start"),
    "start": (initialization_tables.start, "start"),
    "first_try": (initialization_tables.first_try, "first_try"),
    "propagation": (initialization_tables.propagation, "propagation"),
    "propagation_trained": (initialization_tables.propagation_trained, "propagation"),
    "propagation_example": (initialization_tables.propagation_example, "propagation"),
    "rectifiers": (page_tables.rectifiers, "rectifiers"),
    "slopes": (page_tables.slopes, "slopes"),
    "slopes_errors": (page_tables.slopes_errors, "slopes"),
    "responses": (page_tables.responses, "responses"),
    "depth": (page_tables.depth, "depth"),
    "scales": (page_tables.scales, "ways_to_test"),
    "scales_ensembles": (page_tables.scales_ensembles, "ways_to_test"),
    "vgg": (page_tables.vgg, "speed_beside_vgg19"),
    "detection": (page_tables.detection, "detection"),
    "scaling": (page_tables.scaling, "gpu_scaling"),
    "scaling_checks": (page_tables.scaling_checks, "gpu_scaling"),
}
# What the figure of a table shows, for readers who cannot see it.
FIGURES = {
    "first_try": "Loss by epoch for each optimizer, rate, image size and width",
    "propagation": "Variances of responses and gradients by layer, for each rule",
    "rectifiers": "Training and validation error by epoch, for each rectifier",
    "slopes": "Slopes by layer, the paper's and ours with and without decay",
    "responses": "Mean responses and Fisher information by layer, ReLU and PReLU",
    "depth": "Training loss by epoch from He's and Xavier's start at three depths",
    "scales": "Top-1 error by way to test and scale, ReLU and PReLU",
    "detection": "Mean average precision by what the detector starts from",
    "vgg": "Time per image by batch size, model A beside VGG19",
    "scaling": "Predicted efficiency by number of GPUs, beside published figures",
}
# The long tables, which are folded, and what is in them.
FOLDED = {
    "start": "The first losses of each start",
    "first_try": "The losses of each run",
    "propagation": "The ratios of variances",
    "propagation_trained": "The ratios of variances",
}


def block(name, results):
    """Return a table below its figure, or how to run the experiment that writes it."""
    make, experiment = TABLES[name]
    try:
        text = make(results)
    except FileNotFoundError as error:
        return (
            f"Not run: `python -m training.experiments.{experiment} "
            f"--output=training/results` writes {pathlib.Path(error.filename).name}."
        )
    if name in FOLDED:
        summary = f"<summary>{FOLDED[name]}</summary>"
        text = f'<details markdown="1">\n{summary}\n\n{text}\n\n</details>'
    return "\n\n".join([*images(name), text])


def images(name):
    """Return the figures of a table, each as a link to itself at its full size."""
    if name not in FIGURES:
        return []
    folder = ROOT / "docs" / "images"
    paths = [f"images/{path.name}" for path in sorted(folder.glob(f"{name}*.png"))]
    return [f"[![{FIGURES[name]}]({path})]({path})" for path in paths]


def filled(page, results):
    """Return the text of a page with its tables written anew."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{block(match[2], results)}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    figure = initialization_figures.first_try(RESULTS)
    Experiment(RESULTS, ROOT / "runs").save(figure, "first_try")
    for page in PAGES:
        page.write_text(filled(page.read_text(), RESULTS))
