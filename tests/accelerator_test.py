"""The benchmark of accelerators, with tiny models."""

import os
import subprocess
import sys

import pytest

from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import ModelA

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_table_holds_rates_and_fractions_of_the_peak(backend):
    pytest.importorskip(backend)
    command = [
        *(sys.executable, "benchmarks/accelerator.py", "--models=ModelA/prelu"),
        *("--batches=4,1000000000", "--image_size=64", "--width=0.03125"),
        *("--rounds=2", "--dtypes=float32", "--peak=0.002"),
    ]
    run = subprocess.run(
        command,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    about, _, _, row, too_large, pipeline = run.stdout.splitlines()
    assert f"on {backend} " in about
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["ModelA/prelu", "float32", "4"]
    flops = 2 * multiply_adds(ModelA(width=1 / 32, input_shape=(64, 64, 3)))
    for first, passes in ((3, 3), (6, 1)):
        images, rate = map(float, cells[first : first + 2])
        assert rate == pytest.approx(images * flops * passes / 1e12, rel=0.01)
        fraction = float(cells[first + 2].rstrip("%")) / 100
        assert fraction == pytest.approx(rate / 0.002, rel=0.01, abs=0.002)
    assert 0.1 < float(cells[9]) < 20
    # 1000 classes, and weights that hardly move: the loss of guessing is 6.91.
    assert 6 < float(cells[10]) < 8
    # A batch that does not fit ends only its own row.
    assert "Memory" in too_large
    words = pipeline.split()
    assert words[:2] == ["The", "pipeline:"] and words[3] == "images/s"
    assert 20 < float(words[2]) < 1e5
