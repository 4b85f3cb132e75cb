"""A user's mistake ends in one line, and a bug of the project does not."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_prelu
from keras_prelu import data, tables
from keras_prelu.callbacks import PREEMPTED, SameRun
from training import errors, train

pytestmark = pytest.mark.tensorflow_only


def bug_in_an_expression():
    # What `keras_prelu.tables.markdown` does to something that is no list of rows.
    tables.markdown(["way to test"], None)


def bug_that_raises_a_value_error():
    # As if the package had this expression, which is no `raise`, in its first line.
    exec(compile("int('one')", keras_prelu.__file__, "exec"))


def error_of_keras():
    keras.layers.Dense(-1)


def error_of_numpy():
    np.zeros(3).reshape(2, 2)


@pytest.mark.parametrize(
    ("bug", "kind"),
    [
        (bug_in_an_expression, TypeError),
        (bug_that_raises_a_value_error, ValueError),
        (error_of_keras, ValueError),
        (error_of_numpy, ValueError),
        (lambda: {}["key"], KeyError),
        (lambda: None.shape, AttributeError),
    ],
)
def test_a_bug_is_raised(bug, kind):
    with pytest.raises(kind), errors.in_one_line():
        bug()


def refused_path():
    data.from_directory("/nowhere")


def refused_fraction():
    data.split(data.Source(["one"]), fraction=2.0)


def missing_file():
    open("/nowhere/file")  # noqa: PTH123, SIM115


def refused_checkpoint():
    SameRun({"seed": 1}).set_state({"seed": 0})


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (refused_path, "Received: path=/nowhere"),
        (refused_fraction, "Received: fraction=2.0"),
        (missing_file, "No such file or directory: '/nowhere/file'"),
        (refused_checkpoint, "seed: 0 before, 1 now"),
    ],
)
def test_a_mistake_is_reported_in_one_line(mistake, text, capsys):
    with pytest.raises(SystemExit) as stopped, errors.in_one_line():
        mistake()
    assert stopped.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert text in line


@pytest.mark.parametrize(
    ("kind", "code", "printed"),
    [
        (tf.errors.UnavailableError, PREEMPTED, "another worker has gone"),
        (tf.errors.AbortedError, PREEMPTED, "another worker has gone"),
        # Started again, the run would end in these again.
        (tf.errors.ResourceExhaustedError, 1, "ResourceExhaustedError: no memory"),
        (tf.errors.InvalidArgumentError, 1, "InvalidArgumentError: no memory"),
    ],
)
def test_only_errors_of_other_workers_ask_for_a_new_start(
    kind, code, printed, monkeypatch, caplog, capfd
):
    def fail(config):
        raise kind(None, None, "no memory")

    config = SimpleNamespace(distribution="multi_worker")
    monkeypatch.setattr(train, "train", fail)
    monkeypatch.setattr(train, "_CONFIG", SimpleNamespace(value=config))
    codes = []
    monkeypatch.setattr("os._exit", codes.append)
    train.main(None)
    assert codes == [code]
    assert printed in caplog.text + capfd.readouterr().err
