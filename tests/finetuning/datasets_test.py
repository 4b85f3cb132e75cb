"""The data that a run accepts: sources, and data sets of batches."""

import re

import pytest
import tensorflow as tf

from keras_prelu.data.pipeline_options import stream_options
from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.options import Options
from tests.finetuning.small_tuning import (
    bright_and_dark,
    image_batches,
    pooling_net,
    small_net,
    tune,
    write_textures,
)


@pytest.mark.parametrize(
    "model, message",
    [
        (
            pooling_net(32, 48, 3),
            r"take square images.*\(None, 32, 48, 3\)",
        ),
        (
            pooling_net(3, 32, 32, data_format="channels_first"),
            r".*channels last.*Received: .*\(None, 3, 32, 32\)",
        ),
    ],
)
def test_sources_need_a_model_of_square_images_with_the_channels_last(
    tmp_path, model, message
):
    source = write_textures(tmp_path, 2, seed=0)
    with pytest.raises(ValueError, match=f"Argument `model` must {message}"):
        tune(model, train=source, validation=source, class_names=None)


@pytest.mark.parametrize(
    "shape, expected", [((None, 40, 3), 40), ((40, 40, 3), 40), ((None, None, 3), 224)]
)
def test_crops_have_the_size_of_the_models_images(tmp_path, shape, expected):
    source = write_textures(tmp_path, 2, seed=0)
    prepared = datasets.prepare(source, source, Options(), pooling_net(*shape))
    images, _ = next(iter(prepared.validation))
    assert images.shape[1:3] == (expected, expected)


@pytest.mark.parametrize(
    "wrong", [{"scale": 36}, {"scale": ()}, {"scale": "ab"}, {"eval_scale": 0}]
)
def test_wrong_scales_of_sources_are_refused(tmp_path, wrong):
    source = write_textures(tmp_path, 2, seed=0)
    (value,) = wrong.values()
    message = re.escape(f"Received: scale={value!r}")
    with pytest.raises(ValueError, match=f"Argument `scale` must be .*{message}"):
        tune(train=source, validation=source, class_names=None, **wrong)


@pytest.mark.tensorflow_only
def test_a_data_set_of_batches_is_not_changed():
    batches = tf.data.Dataset.from_tensor_slices(bright_and_dark()).batch(10)
    train, validation = (
        d.with_options(stream_options()) for d in (batches, image_batches(8, seed=1))
    )
    tuned = tune(train=train, validation=validation, epochs=5)
    assert tuned.history["val_top1_error"][tuned.best_epoch - 1] == 0.0


@pytest.mark.tensorflow_only
def test_a_data_set_of_unknown_length_is_counted():
    spec = image_batches().element_spec
    unknown = tf.data.Dataset.from_generator(
        lambda: iter(image_batches()), output_signature=spec
    )
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    options = Options(class_names=["dark", "bright"])
    prepared = datasets.prepare(unknown, unknown, options, small_net())
    assert (prepared.steps, prepared.examples) == (3, 24)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("argument", ["train", "validation"])
def test_a_data_set_without_an_end_is_refused(argument):
    given = {"train": image_batches(), "validation": image_batches(8)}
    given[argument] = given[argument].repeat()
    with pytest.raises(ValueError, match=f"Argument `{argument}` must end.*repeats"):
        tune(**given)


def labels_plus_5(images, labels):
    return images, labels + 5


def with_weights(images, labels):
    return images, labels, tf.ones_like(labels)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("argument", ["train", "validation"])
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.map(with_weights), r"of batches \(images, labels\). Received: "),
        (lambda d: d.unbatch(), r"of batches \(images, labels\). Received: "),
        (lambda d: d.take(0), "must hold a batch. Received: an empty set"),
        (lambda d: d.map(labels_plus_5), r"labels in 0 \.\.\. 1.*labels=5 \.\.\. 6"),
    ],
)
def test_a_data_set_of_another_form_is_refused(argument, change, message):
    given = {"train": image_batches(), "validation": image_batches(8)}
    given[argument] = change(given[argument])
    with pytest.raises(ValueError, match=f"Argument `{argument}` .*{message}"):
        tune(**given)
