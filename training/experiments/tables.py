"""Write the tables of the documentation from the results.

    python -m training.experiments.tables

A table stands between `<!-- NAME -->` and `<!-- end -->`. For an experiment that was
not run, its command stands there instead.
"""

import pathlib
import re

from training.experiments import page_tables
from training.experiments.experiment import ROOT

RESULTS = ROOT / "training" / "results"
PAGES = [ROOT / "docs" / name for name in ("reproducing.md", "differences.md")]
# The experiment that writes the results of each table, or None for all of them.
EXPERIMENTS = {
    "claims": None,
    "start": "start",
    "first_try": "first_try",
    "propagation": "propagation",
    "propagation_trained": "propagation",
    "propagation_example": "propagation",
    "rectifiers": "rectifiers",
    "slopes": "slopes",
    "slopes_errors": "slopes",
    "responses": "responses",
    "depth": "depth",
    "scales": "ways_to_test",
    "vgg": "speed_beside_vgg19",
    "detection": "detection",
    "scaling": "gpu_scaling",
    "scaling_checks": "gpu_scaling",
}


def block(name, results):
    """Return a table and its figures, or how to run the experiment that writes it."""
    try:
        text = getattr(page_tables, name)(results)
    except FileNotFoundError as error:
        return (
            f"Not run: `python -m training.experiments.{EXPERIMENTS[name]} "
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
