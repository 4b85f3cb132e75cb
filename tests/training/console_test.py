"""Programs hide TensorFlow's messages, but no traceback and no warning of their own."""

import os
import sys

import pytest
from runs import finish, start

from training import console

pytestmark = pytest.mark.tensorflow_only
PROGRAM = """
import os, sys
from training import console
with console.quiet_import():
    os.write(2, b"I0000 00:00:1795574425.940717 1481 port.cc:153] oneDNN is on\\n")
    os.write(2, b"something else\\n")
    import tensorflow as tf
from absl import app, logging

def main(_):
    logging.set_verbosity(logging.INFO)
    print("level", os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
    logging.info("INFO of another library")
    tf.get_logger().info("INFO of another logger")
    logging.warning("WARNING of another library")
    raise KeyError("bug")

app.run(main)
"""


@pytest.mark.slow
def test_messages_of_tensorflow_are_hidden_and_tracebacks_are_not():
    code, printed = finish(start("-c", PROGRAM))
    assert code == 1
    assert "oneDNN" not in printed
    assert "INFO of another" not in printed
    for text in ("something else", "WARNING of another", "KeyError: 'bug'"):
        assert text in printed


@pytest.mark.slow
def test_verbosity_shows_all_messages():
    _, printed = finish(start("-c", PROGRAM, "--verbosity=0"))
    assert "oneDNN" in printed
    assert "INFO of another" in printed


def test_an_error_within_an_import_is_not_hidden(capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program"])
    monkeypatch.setattr(console.absl_logging.get_absl_handler(), "filters", [])
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    with pytest.raises(ImportError), console.quiet_import():
        os.write(2, b"the reason\n")
        raise ImportError("no module")
    assert capfd.readouterr().err == "the reason\n"
