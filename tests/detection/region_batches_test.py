"""Batches of regions: their content, their order, and bad images."""

import numpy as np
import pytest
from toy import SIZES, Toy, jittered

from keras_prelu.data import (
    AnnotatedSubset,
    TooManyBadImagesError,
    decoding,
    original_errors,
)
from keras_prelu.data.readers import has_tensorflow
from keras_prelu.detection import eval_batches, train_batches
from keras_prelu.detection.boxes import decode_deltas, iou
from tests.data.conftest import arrays

SETTINGS = {"batch_size": 2, "regions": 16, "shorter_side": 64, "longest_side": 120}
READERS = ["numpy", *["tf.data"] * has_tensorflow()]


def batches_of(source, steps=5, **changes):
    batches = train_batches(source, jittered(source), **{**SETTINGS, **changes})
    return arrays(batches, steps)


def assert_equal(first, second):
    for (x, y), (other_x, other_y) in zip(first, second, strict=True):
        for ours, others in ((x, other_x), (y, other_y)):
            for name, array in ours.items():
                np.testing.assert_array_equal(array, others[name])


def test_targets_lead_to_bright_boxes_of_their_class():
    """Resized, flipped and padded: the pixels under the targets tell the object."""
    seen = set()
    for x, y in batches_of(Toy()):
        assert x["images"].shape[1] % 32 == x["images"].shape[2] % 32 == 0
        targets = decode_deltas(x["boxes"], y["deltas"][..., 1:])
        np.testing.assert_array_equal(y["deltas"][..., 0], y["scores"])
        for image, boxes, labels in zip(x["images"], targets, y["scores"], strict=True):
            for box, label in zip(boxes, labels, strict=True):
                if label:
                    left, top, right, bottom = np.round(box).astype(int)
                    inside = image[top + 2 : bottom - 2, left + 2 : right - 2]
                    assert inside.min() > (140, 240)[label - 1]
                    assert image[bottom + 2, left + 3].max() < 130
                    seen.add(label)
    assert seen == {1, 2}


def test_background_overlaps_no_object_by_half():
    source = Toy(1)
    for x, y in batches_of(source, 2, batch_size=1):
        foreground = decode_deltas(x["boxes"], y["deltas"][..., 1:])[0]
        objects = foreground[y["scores"][0] > 0]
        background = x["boxes"][0][y["scores"][0] == 0]
        assert iou(background, objects).max() < 0.5 + 1e-3


def test_batches_from_a_step_on_are_those_of_a_whole_run():
    source = Toy()
    whole = batches_of(source, 6)
    assert_equal(batches_of(source, 3, start_step=3), whole[3:])
    first_images = [x["images"].shape for x, _ in batches_of(source, 6, seed=1)]
    assert first_images != [x["images"].shape for x, _ in whole]


@pytest.mark.tensorflow_only
def test_both_readers_give_the_same_batches():
    first, second = (batches_of(Toy(), reader=name) for name in ("tf.data", "numpy"))
    assert_equal(first, second)
    assert [x["boxes"].dtype for x, _ in first] == [x["boxes"].dtype for x, _ in second]


def test_epochs_differ():
    [first, second] = batches_of(Toy(1), 2, batch_size=1)
    assert (first[0]["boxes"] != second[0]["boxes"]).any()


def test_shards_are_the_parts_of_a_batch():
    source = Toy()
    for (x, y), (x0, y0), (x1, y1) in zip(
        batches_of(source),
        batches_of(source, shard=(0, 2)),
        batches_of(source, shard=(1, 2)),
        strict=True,
    ):
        np.testing.assert_array_equal(
            x["boxes"], np.concatenate([x0["boxes"], x1["boxes"]])
        )
        np.testing.assert_array_equal(
            y["deltas"], np.concatenate([y0["deltas"], y1["deltas"]])
        )


def test_a_range_of_scales_is_drawn_from():
    shapes = {
        x["images"].shape[1:3]
        for x, _ in batches_of(Toy(1), 12, batch_size=1, shorter_side=(32, 100))
    }
    assert len(shapes) > 1
    assert max(map(max, shapes)) <= 128  # 120, padded


def test_the_next_good_image_replaces_a_bad_one():
    source = Toy(5, bad=(2,), max_bad=1)
    good = Toy(5)
    broken, whole = batches_of(source, 5), batches_of(good, 5)
    assert list(source.skipped) == ["image 2"]
    shapes = [x["images"].shape for x, _ in broken]
    assert all(shape[0] == 2 for shape in shapes)
    # Batches without the bad image are the same.
    equal = [
        x["boxes"].tolist() == other["boxes"].tolist()
        for (x, _), (other, _) in zip(broken, whole, strict=True)
    ]
    assert any(equal) and not all(equal)


def test_an_image_that_is_too_large_after_resizing_is_replaced(monkeypatch):
    """Image 3 becomes 58 x 120 pixels; the others have at most 64 x 102."""
    monkeypatch.setattr(decoding, "MAX_PIXELS", 6700)
    source = Toy()
    images = sum(len(x["images"]) for x, _ in batches_of(source, 5))
    assert images == 10
    assert list(source.skipped) == ["image 3"]


def test_too_many_bad_images_stop_the_run():
    source = Toy(5, bad=(0, 1, 2), max_bad=1)
    with (
        pytest.raises(TooManyBadImagesError, match=r"\d images cannot be used"),
        original_errors(),
    ):
        batches_of(source, 5)


def validation(source, **changes):
    return arrays(eval_batches(source, jittered(source), **{**SETTINGS, **changes}), -1)


class Grays(Toy):
    """Images of one gray each: 0, 40, 80, 120, 160."""

    def pixels(self, index):
        return np.full((*SIZES[index], 3), 40 * index, "uint8")


def grays(batches):
    """Return the grays of the images in each batch."""
    return [x["images"][:, 0, 0, 0].tolist() for x, _ in batches]


def test_validation_sees_each_image_once_and_always_the_same_regions():
    first, second = validation(Grays()), validation(Grays())
    assert_equal(first, second)
    assert grays(first) == [[0, 40], [80, 120], [160]]
    shards = [grays(validation(Grays(), shard=(worker, 2))) for worker in (0, 1)]
    assert shards == [[[0, 80], [160]], [[40, 120]]]


@pytest.mark.parametrize("reader", READERS)
def test_validation_leaves_bad_images_out(reader):
    source = Grays(bad=(2,))
    batches = validation(source, reader=reader)
    assert grays(batches) == [[0, 40], [120, 160]]
    assert list(source.skipped) == ["image 2"]
    good = validation(AnnotatedSubset(Grays(), [0, 1, 3, 4]), reader=reader)
    for (x, y), (expected, _) in zip(batches, good, strict=True):
        np.testing.assert_array_equal(x["images"], expected["images"])
        assert x["boxes"].shape == (2, 16, 4)
        assert y["deltas"].shape == (2, 16, 5)
    shards = [
        grays(validation(source, reader=reader, shard=(worker, 2))) for worker in (0, 1)
    ]
    assert shards == [[[0, 160]], [[40, 120]]]


def test_validation_stops_at_too_many_bad_images():
    source = Grays(bad=(1, 2), max_bad=1)
    with (
        pytest.raises(TooManyBadImagesError, match="2 images cannot be used"),
        original_errors(),
    ):
        validation(source)


@pytest.mark.tensorflow_only
def test_validation_batches_can_be_divided_among_replicas():
    """Only whole batches can be: images of two batches have different sizes."""
    source = Grays(bad=(0,))
    batches = eval_batches(source, jittered(source), **{**SETTINGS, "batch_size": 4})
    assert grays(arrays(batches.rebatch(2), -1)) == [[40, 80], [120, 160]]


@pytest.mark.tensorflow_only
def test_both_readers_give_the_same_validation_batches():
    assert_equal(
        *(validation(Toy(bad=(3,)), reader=name) for name in ("tf.data", "numpy"))
    )


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"regions": 0}, "regions"),
        ({"shorter_side": 0}, "shorter_side"),
        ({"shorter_side": (80, 60)}, "shorter_side"),
        ({"shorter_side": (48, 64, 80)}, "shorter_side"),
        ({"shorter_side": 400}, "shorter_side"),
        ({"shard": (2, 2)}, "shard"),
        ({"shard": (0, 3)}, "batch_size"),
    ],
)
def test_wrong_arguments_are_refused(changes, name):
    source = Toy()
    with pytest.raises(ValueError, match=f"`{name}` must be.*Received"):
        train_batches(source, jittered(source), **{**SETTINGS, **changes})


def test_a_source_without_images_is_refused():
    with pytest.raises(ValueError, match="^Argument `source` must have at least one"):
        train_batches(Toy(0), [])
