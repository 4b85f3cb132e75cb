"""A user's mistake ends in one line, and a bug of the project does not."""

import keras
import numpy as np
import pytest

import keras_prelu
from keras_prelu import data
from keras_prelu.callbacks import SameRun
from training import errors

pytestmark = pytest.mark.tensorflow_only


def bug_in_an_expression():
    # What `keras_prelu.data.split` does to something that is no source.
    data.split(data.Source([]), fraction="much")


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
