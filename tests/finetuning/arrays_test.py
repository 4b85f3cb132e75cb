"""Training images and labels that are arrays."""

import itertools

import keras
import numpy as np
import pytest

from keras_prelu.finetuning import datasets
from keras_prelu.finetuning.class_weights import weighted
from keras_prelu.finetuning.options import Options
from tests.finetuning.small_tuning import bright_and_dark, pooling_net, small_net, tune


def test_arrays_need_not_be_square():
    images, labels = bright_and_dark()
    pair = images[:, :20], labels
    tuned = tune(pooling_net(20, 32, 3), train=pair, validation=pair)
    assert tuned.model.input_shape == (None, 20, 32, 3)


def test_arrays_are_shuffled_each_image_once_an_epoch():
    images = np.arange(6, dtype="float32").reshape(6, 1)
    pair = images, np.arange(6) % 2
    options = Options(class_names=["a", "b"], batch_size=2)
    prepared = datasets.prepare(pair, pair, options, small_net())
    assert prepared.steps == 3

    def first_batches(count, start=0):
        batches = itertools.islice(prepared.train(start), count)
        return [
            tuple(np.asarray(column).ravel() for column in pair) for pair in batches
        ]

    seen = [x.tolist() for x, _ in first_batches(6)]
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4, 5]
    assert first != second
    assert first_batches(1, 4)[0][0].tolist() == seen[4]
    for x, y in first_batches(3):
        assert (x % 2 == y).all()


@pytest.mark.parametrize("class_weight", [None, {0: 1, 1: 3}])
def test_batches_of_arrays_are_the_same_on_all_backends(monkeypatch, class_weight):
    def batches():
        options = Options(class_names=["a", "b"], batch_size=4, seed=3)
        prepared = datasets.prepare(
            bright_and_dark(10), bright_and_dark(7), options, small_net()
        )
        if class_weight:
            prepared = weighted(prepared, class_weight)
        endless = iter(prepared.train(2))
        return [next(endless) for _ in range(4)], list(prepared.validation)

    streamed = batches()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    held = batches()
    for ours, theirs in zip(held, streamed, strict=True):
        assert len(ours) == len(theirs)
        for arrays, tensors in zip(ours, theirs, strict=True):
            for array, tensor in zip(arrays, tensors, strict=True):
                np.testing.assert_array_equal(array, tensor)


def test_images_in_0_1_are_warned_about_once(recwarn):
    images, labels = bright_and_dark()
    tune(train=(images / 255, labels), head_epochs=1, epochs=2)
    [warning] = [w for w in recwarn if "[0, 255]" in str(w.message)]
    assert warning.category is UserWarning
    assert "multiply the images by 255" in str(warning.message)


def test_images_in_0_1_suit_a_model_without_preprocessing(recwarn):
    images, labels = bright_and_dark()
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    tune(model, train=(images / 255, labels), head_epochs=1, epochs=1)
    tune(head_epochs=1, epochs=1)  # images in [0, 255], with preprocessing
    assert not [w for w in recwarn if "[0, 255]" in str(w.message)]
