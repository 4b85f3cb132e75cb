"""The figures of a finished run, with difficult names of classes."""

from types import SimpleNamespace

import numpy as np
import pytest

from training import report

pytestmark = pytest.mark.tensorflow_only

# Half a formula, which matplotlib would typeset, and bytes that are not UTF-8.
NAMES = [r"$\frac{x$ ^", "caf\udce9"]


def texts(figure):
    figure.canvas.draw()
    return [
        text.get_text()
        for axis in figure.axes
        for text in [axis.title, *axis.texts, *axis.get_xticklabels()]
    ]


def test_confusions_are_drawn_with_the_names_as_they_are(tmp_path):
    figure = report.draw_confusion(np.array([[3, 1], [0, 4]]), NAMES)
    assert {r"$\frac{x$ ^", r"caf\udce9"} < {*texts(figure)}
    report.save(figure, tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 5000


def test_examples_are_drawn_with_the_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_crops", lambda *args: np.zeros((2, 8, 8, 3), "uint8"))
    evaluation = SimpleNamespace(
        class_names=NAMES,
        labels=np.array([0, 1]),
        best=np.array([[0, 1], [0, 1]]),
        best_scores=np.array([[0.7, 0.3], [0.6, 0.4]]),
    )
    figure = report.draw_examples(evaluation, 8)
    first, second = r"$\frac{x$ ^", r"caf\udce9"
    assert {first, second, f"✓ {first}", f"✗ {second}"} < {*texts(figure)}
    report.save(figure, tmp_path / "examples.png")
