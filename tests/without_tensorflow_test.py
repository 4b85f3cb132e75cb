"""The parts that run on JAX or PyTorch also run without TensorFlow installed."""

import pathlib
import subprocess
import sys

import keras
import pytest

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "without_tensorflow.py"


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_other_backends_work_without_tensorflow():
    result = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    backend = keras.backend.backend()
    assert result.stdout == f"Everything works on {backend} without TensorFlow.\n"
