"""The parts that run on JAX or PyTorch also run without TensorFlow installed."""

import configparser
import pathlib
import re
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[1]
SCRIPT = ROOT / "tests" / "scripts" / "without_tensorflow.py"


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


def test_the_commands_that_install_without_tensorflow_ask_for_our_versions():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ours = {
        *setup["options"]["install_requires"].splitlines(),
        *setup["options.extras_require"]["jax"].splitlines(),
    }
    for name in ("Makefile", "docs/installation.md"):
        [command] = re.findall(
            r"pip install (?:--quiet )?('jax.*)", (ROOT / name).read_text("utf-8")
        )
        requirements = re.findall("'(.*?)'", command)
        assert len(requirements) == 3 and set(requirements) <= ours, name
