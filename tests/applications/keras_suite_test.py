"""Keras's tests of keras.applications, run on the constructors of this package.

Keras ships these tests. The one that downloads ImageNet weights is left out, because
these models have none.
"""

import functools
import unittest

import pytest
from absl.testing import parameterized
from keras.src import testing

import keras_prelu
from keras_prelu.applications import model14, model30, model_a, model_b, model_c

applications_test = pytest.importorskip(
    "keras.src.applications.applications_test", reason="not in Keras 3.15.0"
)
NARROW = 1 / 16
NETS = [
    ("ModelA", 512, model_a),
    ("ModelB", 512, model_b),
    ("ModelC", 896, model_c),
    ("Model14", 256, model14),
    ("Model30", 256, model30),
]


def narrow(name):
    """Return the constructor with a narrow default width."""
    constructor = getattr(keras_prelu.applications, name)
    return functools.wraps(constructor)(functools.partial(constructor, width=NARROW))


PARAMETERS = [
    (f"{name}_{data_format}", narrow(name), int(filters * NARROW), module, data_format)
    for data_format in ("channels_last", "channels_first")
    for name, filters, module in NETS
]


def written_by_keras():
    """Return the undecorated test methods of Keras's suite, by name."""
    methods = {}
    for name, method in vars(applications_test.ApplicationsTest).items():
        written = getattr(method, "__wrapped__", None)
        if name.startswith("test_") and written is not None:
            methods[written.__name__] = written
    del methods["test_application_base"]
    return methods


class Helpers(testing.TestCase):
    """The methods that Keras's tests call on their class."""

    def skip_if_invalid_image_data_format_for_model(self, app, image_data_format):
        pass


KerasApplicationsTest = type(
    "KerasApplicationsTest",
    (Helpers,),
    {
        name: parameterized.named_parameters(PARAMETERS)(method)
        for name, method in written_by_keras().items()
    },
)


def test_keras_still_ships_these_tests():
    assert set(written_by_keras()) == {
        "test_application_notop_variable_input_channels",
        "test_application_notop_custom_input_shape",
        "test_application_notop_custom_input_tensor",
        "test_application_pooling",
        "test_application_classifier_activation",
    }
    assert len(unittest.TestLoader().getTestCaseNames(KerasApplicationsTest)) == 50
