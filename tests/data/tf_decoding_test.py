"""Decoding of windows in a graph, which runs only the decoder that an image needs."""

import numpy as np
import pytest
import tensorflow as tf

from keras_prelu.data.batch_format import Window
from keras_prelu.data.decoding import decode_window as pillows
from keras_prelu.data.tf_decoding import decode_window
from tests.data.conftest import encoded, wavy_image

pytestmark = pytest.mark.tensorflow_only

AREA = (4, 2, 6, 8)


def _decode(file, decoder, factor):
    window = Window(area=AREA, decoder=decoder, factor=factor)
    return decode_window(file, {k: tf.convert_to_tensor(x) for k, x in window.items()})


@pytest.mark.parametrize(
    "fmt, decoder, factor",
    [("JPEG", 0, 1), ("JPEG", 1, 1), ("JPEG", 2, 1), ("JPEG", 3, 1), ("JPEG", 3, 2)]
    + [("PNG", 4, 1), ("PNG", 4, 2)],
)
def test_every_decoder_in_a_pipeline(fmt, decoder, factor):
    file = encoded(wavy_image(90, 100), fmt)
    rows = tf.data.Dataset.from_tensors((file, decoder, factor)).map(_decode)
    [actual] = rows.as_numpy_iterator()
    assert actual.shape == (6 // factor, 8 // factor, 3)
    expected = pillows(file, Window(area=AREA, decoder=decoder, factor=factor))
    # One level for another build of libjpeg. The outermost columns can differ by more.
    inside = slice(2, -2) if factor == 1 else slice(1, -1)
    np.testing.assert_allclose(
        actual[:, inside].astype(int), expected[:, inside].astype(int), atol=1
    )
    np.testing.assert_array_equal(actual, _decode(tf.constant(file), decoder, factor))


def test_the_graph_of_an_image_does_not_hold_all_decoders():
    """TensorFlow skips each unused op for each image, which costs time."""
    graph = (
        tf.function(_decode)
        .get_concrete_function(
            tf.TensorSpec([], tf.string),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        )
        .graph
    )
    ops = {op.type: op for op in graph.get_operations()}
    assert not {"DecodeAndCropJpeg", "PyFunc", "EagerPyFunc", "If"} & ops.keys()
    # With this attribute, TensorFlow would copy the branches into the graph.
    with pytest.raises(ValueError, match="_lower_using_switch_merge"):
        ops["Case"].get_attr("_lower_using_switch_merge")
