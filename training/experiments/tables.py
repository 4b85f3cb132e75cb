"""Write the tables of the documentation from the results.

    python -m training.experiments.tables

A table stands between `<!-- NAME -->` and `<!-- end -->`. For an experiment that was
not run, its command stands there instead.
"""

import pathlib
import re

from training.experiments import initialization_tables, page_tables
from training.experiments.experiment import ROOT

RESULTS = ROOT / "training" / "results"
PAGES = [ROOT / "docs" / name for name in ("reproducing.md", "differences.md")]
# For each table: the function that makes it, and the experiment that writes its
# results, or None for all of them.
TABLES = {
    "claims": (page_tables.claims, None),
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


def block(name, results):
    """Return a table and its figures, or how to run the experiment that writes it."""
    make, experiment = TABLES[name]
    try:
        text = make(results)
    except FileNotFoundError as error:
        return (
            f"Not run: `python -m training.experiments.{experiment} "
            f"--output=training/results` writes {pathlib.Path(error.filename).name}."
        )
    figures = sorted((ROOT / "docs" / "images").glob(f"{name}*.png"))
    images = "".join(f"\n\n![{name}](images/{path.name})" for path in figures)
    return text + images


def filled(page, results):
    """Return the text of a page with its tables written anew."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{block(match[2], results)}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(), RESULTS))
