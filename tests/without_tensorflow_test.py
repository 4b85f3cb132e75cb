"""What works on JAX or PyTorch works in a process that has no TensorFlow."""

import pathlib
import subprocess
import sys

import keras
import pytest

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "without_tensorflow.py"


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="needs another backend"
)
def test_the_rest_works_where_tensorflow_is_not_installed():
    result = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    backend = keras.backend.backend()
    assert result.stdout == f"All of it works on {backend} without TensorFlow.\n"
