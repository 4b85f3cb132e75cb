"""The declared fields are what travels: nothing agrees by chance."""

import numpy as np
import pytest
import tensorflow as tf

from keras_prelu import data
from keras_prelu.data.batch_format import DrawnImage, EncodedImage, Window, specs
from keras_prelu.data.decoding import Header
from keras_prelu.data.windows import Box, plan_window
from tests.data.conftest import SMALL


@pytest.mark.tensorflow_only
def test_batches_have_the_declared_fields(folder):
    source = data.from_directory(folder)
    spec, _ = data.train_batches(source, 8, **SMALL).element_spec
    declared = specs(DrawnImage)
    assert spec.keys() == declared.keys()
    for name, (dtype, shape) in declared.items():
        assert spec[name].dtype == tf.as_dtype(dtype)
        assert spec[name].shape.rank == 1 + len(shape)


def test_planned_windows_have_the_declared_fields():
    window, box = plan_window(Header(200, 300, True), Box(0, 70, 160, 160), 80)
    assert window.keys() == specs(Window).keys() <= specs(EncodedImage).keys()
    for name, (dtype, shape) in specs(Window).items():
        assert np.array(window[name], dtype).shape == shape
    assert np.array(box).shape == specs(EncodedImage)["box"].shape
