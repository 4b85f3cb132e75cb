"""Writes the tables of the documentation anew, from the results.

    python -m training.experiments.tables

A table stands between `<!-- NAME -->` and `<!-- end -->`; what was not run says so.
"""

import pathlib
import re

from training.experiments._tables import (
    claims,
    depth,
    first_try,
    propagation,
    propagation_example,
    rectifiers,
    responses,
    scales,
    scaling,
    scaling_checks,
    slopes,
    slopes_errors,
    start,
    vgg,
)

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "training" / "results"
PAGES = [ROOT / "docs" / name for name in ("reproducing.md", "differences.md")]

TABLES = {
    table.__name__: table
    for table in (
        claims,
        start,
        first_try,
        propagation,
        propagation_example,
        rectifiers,
        slopes,
        slopes_errors,
        responses,
        depth,
        scales,
        vgg,
        scaling,
        scaling_checks,
    )
}


def block(name, results):
    """Returns a table, or that there is none yet; and its figure."""
    try:
        text = TABLES[name](results)
    except FileNotFoundError as error:
        # rectifiers.py writes a table "rectifiers" and others whose names begin so.
        scripts = [path.stem for path in pathlib.Path(__file__).parent.glob("*.py")]
        experiment = max(filter(name.startswith, scripts), key=len)
        return (
            f"Not run: `python -m training.experiments.{experiment} "
            f"--output=training/results` writes {pathlib.Path(error.filename).name}."
        )
    figures = sorted((ROOT / "docs" / "images").glob(f"{name}*.png"))
    images = "".join(f"\n\n![{name}](images/{path.name})" for path in figures)
    return text + images


def filled(page, results):
    """Returns the text of a page with its tables written anew."""
    return re.sub(
        r"(<!-- (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{block(match[2], results)}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(), RESULTS))
