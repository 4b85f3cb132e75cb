"""The documentation is correct: examples run, and paths and commands exist."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_prelu

ROOT = Path(__file__).parents[1]
FOLDERS = ("applications", "benchmarks", "docs", "keras_prelu", "tests", "training")
PAGES = [
    ROOT / "README.md",
    *sorted(
        page
        for folder in FOLDERS
        for page in (ROOT / folder).rglob("*.md")
        if "node_modules" not in page.parts
    ),
]
# Everything that names commands: pages, docstrings and the targets of `make`.
SOURCES = [
    *PAGES,
    ROOT / "Makefile",
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
]

# The namespaces that need TensorFlow.
TENSORFLOW_ONLY = (
    "keras_prelu.data",
    "keras_prelu.export",
    "keras_prelu.finetuning",
)


def documented_objects():
    """Yield every object of the package whose docstring has an example."""
    seen = set()
    for module in pkgutil.walk_packages(keras_prelu.__path__, "keras_prelu."):
        if module.name.endswith("__main__"):
            continue
        members = vars(importlib.import_module(module.name)).values()
        classes = [member for member in members if inspect.isclass(member)]
        methods = [m for c in classes for m in vars(c).values() if callable(m)]
        for member in [*members, *methods]:
            home = getattr(member, "__module__", None) or ""
            text = getattr(member, "__doc__", None) or ""
            if not callable(member) or not home.startswith("keras_prelu"):
                continue
            if ">>>" in text and id(member) not in seen:
                seen.add(id(member))
                marks = [
                    mark
                    for mark, homes in (
                        (pytest.mark.tensorflow_only, TENSORFLOW_ONLY),
                        (pytest.mark.slow, "keras_prelu.export"),
                    )
                    if home.startswith(homes)
                ]
                name = f"{home}.{member.__name__}"
                yield pytest.param(home, text, id=name, marks=marks)


def make_photos(folder):
    """Make the folder of images that the examples read: four in each of two classes."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (60, 80, 3), "uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.jpg")


@pytest.mark.parametrize(("home", "text"), list(documented_objects()))
def test_examples_run(home, text, tmp_path, monkeypatch):
    make_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    names = {"keras": keras, "keras_prelu": keras_prelu, "np": np, "tf": tf}
    names |= vars(sys.modules[home])
    example = doctest.DocTestParser().get_doctest(text, names, "docstring", None, 0)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.DocTestRunner(optionflags=flags).run(example)
    assert result.failed == 0


def test_only_examples_with_a_prepared_data_set_do_not_run():
    skipped = [case.id for case in documented_objects() if "+SKIP" in case.values[1]]
    assert set(skipped) <= {
        "keras_prelu.data.scenes_dataset.scenes",
        "keras_prelu.data.shapes_dataset.shapes",
        "keras_prelu.data.tfds_source.from_tfds",
        "keras_prelu.data.voc_dataset.voc",
    }


def missing_paths(text):
    """Return the paths in a text that do not exist, with or without their folder."""
    text = re.sub(r"/\n\s*", "/", text)  # a line break can cut a path
    # A path that begins with `..` is relative to its page.
    paths = re.findall(rf"(?<![\w/.])(?:{'|'.join(FOLDERS)})/[\w./-]*[\w/]", text)
    names = re.findall(r"(?<![\w/.*-])\w+\.py\b", text)
    known = {path.name for path in SOURCES}
    return sorted(
        {path for path in paths if not (ROOT / path).exists()}
        | {name for name in names if name not in known}
    )


def missing_modules(text):
    """Return the modules of `python -m` commands in a text that do not exist."""
    modules = re.findall(
        rf"python -m ((?:{'|'.join(FOLDERS)})\.[\w.]*\w)(?!\w|\.\S)", text
    )
    paths = {module: ROOT / module.replace(".", "/") for module in modules}
    return [
        module
        for module, path in paths.items()
        if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists())
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_named_in_pages_exist(page):
    text = page.read_text()
    assert missing_paths(text) == []
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    broken = sorted(link for link in links if not (page.parent / link).exists())
    assert broken == []


def test_a_missing_path_is_seen_across_a_line_break():
    assert missing_paths("`tests/data/\n   no_such.py`") == ["tests/data/no_such.py"]
    assert missing_paths("`docs_test.py` and `no_such.py`") == ["no_such.py"]
    assert missing_paths("see tests/\ndocs_test.py") == []


def test_modules_named_in_commands_exist():
    missing = {
        str(path.relative_to(ROOT)): modules
        for path in SOURCES
        if path.parts[len(ROOT.parts)] != "tests"
        and (modules := missing_modules(path.read_text()))
    }
    assert missing == {}
    assert missing_modules("python -m training.no_such --x") == ["training.no_such"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_named_in_pages_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make ([\w-]+)`|^make ([\w-]+)", page.read_text(), re.M))
    assert {name for pair in named for name in pair if name} <= targets


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, keras; before = set(sys.modules); import keras_prelu;"
        "print(*sorted(m for m in set(sys.modules) - before if '.' not in m))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set(result.stdout.split()) <= {"keras_prelu"}


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'modelc'"):
        keras_prelu.modelc  # noqa: B018
    assert {"applications", "layers"} <= set(dir(keras_prelu))
