"""Detection in images, with a detector whose outputs are known."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_prelu import applications, detection


@keras.saving.register_keras_serializable("tests")
class ScoresByColor(keras.layers.Layer):
    """Scores that follow from the boxes: class 0 for wide boxes, class 1 for tall."""

    def call(self, images, boxes):
        sides = boxes[..., 2:] - boxes[..., :2]
        wide = ops.cast(sides[..., 0] > sides[..., 1], "float32")
        size = ops.cast(ops.shape(images)[1], "float32")
        certainty = 0.5 + 0.5 * sides[..., 0] / (10 * size)
        classes = ops.stack([wide, 1 - wide], axis=-1) * certainty[..., None]
        rest = 1 - ops.sum(classes, axis=-1, keepdims=True)
        return ops.concatenate([rest, classes], axis=-1)


def fake_detector(deltas=(0.0, 0, 0, 0)):
    """Build a detector without weights; all deltas are equal."""
    images = keras.Input((None, None, 3), name="images")
    boxes = keras.Input((None, 4), name="boxes")
    scores = ScoresByColor()(images, boxes)
    zeros = ops.repeat(ops.expand_dims(0 * boxes, 2), 2, axis=2)
    return keras.Model(
        {"images": images, "boxes": boxes},
        {"scores": scores, "deltas": zeros + np.array(deltas, "float32")},
    )


def image(height=60, width=80):
    return np.zeros((height, width, 3), "uint8")


SIZES = {"shorter_side": 96, "longest_side": 200}


def test_boxes_are_in_pixels_of_the_given_image():
    proposals = np.array([[10, 10, 50, 30], [5, 5, 20, 45]], "float32")
    [found] = detection.detect(fake_detector(), [image()], [proposals], **SIZES)
    np.testing.assert_allclose(found.boxes, proposals, atol=1e-4)
    assert found.labels.tolist() == [0, 1]
    assert (np.diff(found.scores) <= 0).all()
    # Boxes of the resized image, which has a factor of 1.6.
    np.testing.assert_allclose(found.scores, [0.5 + 0.5 * 64 / 960, 0.5 + 12 / 960])
    kinds = [(array.dtype.name, array.shape) for array in found]
    assert kinds == [("float32", (2, 4)), ("int32", (2,)), ("float32", (2,))]


def test_deltas_move_boxes_and_the_image_clips_them():
    detector = fake_detector((0.25, 0, np.log(2), 0))
    proposals = [[[10, 10, 50, 30]]]
    [found] = detection.detect(detector, [image()], proposals, **SIZES)
    # The center goes from 30 to 40, the width from 40 to 80: from 0 to 80.
    np.testing.assert_allclose(found.boxes, [[0, 10, 80, 30]], atol=1e-4)
    [found] = detection.detect(detector, [image(60, 70)], proposals, **SIZES)
    np.testing.assert_allclose(found.boxes, [[0, 10, 70, 30]], atol=1e-4)
    outside = fake_detector((5.0, 0, 0, 0))
    [found] = detection.detect(outside, [image()], proposals, **SIZES)
    assert found.boxes.shape == (0, 4)


def test_suppression_is_per_class_and_scores_have_a_threshold():
    proposals = np.array(
        [[10, 10, 50, 49], [10, 10, 50, 48], [10, 10, 50, 51], [60, 10, 79, 20]]
    )
    arguments = fake_detector(), [image()], [proposals]
    [found] = detection.detect(*arguments, **SIZES)
    # The second overlaps the first. The third is tall, of the other class.
    np.testing.assert_allclose(found.boxes, proposals[[0, 2, 3]], atol=1e-4)
    assert found.labels.tolist() == [0, 1, 0]
    [found] = detection.detect(*arguments, nms_threshold=1, **SIZES)
    assert len(found.boxes) == 4
    [found] = detection.detect(*arguments, score_threshold=0.52, **SIZES)
    assert found.labels.tolist() == [0, 1]
    [found] = detection.detect(*arguments, max_detections=1, **SIZES)
    np.testing.assert_allclose(found.boxes, proposals[:1], atol=1e-4)


def test_many_images_of_different_sizes_equal_each_alone():
    model = applications.ModelA(width=1 / 64, classes=5)
    detector = detection.fast_rcnn(model, classes=3)
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (*size, 3), "uint8") for size in [(60, 80), (50, 40)]
    ]
    starts = rng.uniform(0, 30, (2, 70, 2))
    boxes = np.concatenate([starts, starts + rng.uniform(3, 30, starts.shape)], -1)
    proposals = [boxes[0], boxes[1][:5]]
    together = detection.detect(detector, images, proposals, 0.0, **SIZES)
    for one, picked, of_image in zip(images, proposals, together, strict=True):
        [alone] = detection.detect(detector, [one], [picked], 0.0, **SIZES)
        for ours, theirs in zip(of_image, alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert len(of_image.boxes) > 3
        assert (of_image.boxes >= 0).all()
        assert (of_image.boxes[:, 2:] <= one.shape[1::-1]).all()


def test_an_image_without_proposals_has_no_detections():
    found = detection.detect(
        fake_detector(), np.stack([image()] * 2), [[], np.zeros((0, 4))], **SIZES
    )
    assert [detections.boxes.shape for detections in found] == [(0, 4)] * 2


def test_proposals_are_clipped_to_the_image():
    proposals = [[[-20, 10, 50, 30], [85, 5, 95, 9]]]
    [found] = detection.detect(fake_detector(), [image()], proposals, **SIZES)
    np.testing.assert_allclose(found.boxes, [[0, 10, 50, 30]], atol=1e-4)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"proposals": []}, "one array for each image.*0 arrays for 1 images"),
        ({"proposals": [[[5, 5, 5, 9]]]}, "finite boxes .*5.0, 9.0.* for image 0"),
        ({"proposals": [[[np.nan, 5, 95, 9]]]}, "finite boxes"),
        ({"proposals": [[5, 5, 9, 9]]}, r"shape \(n, 4\).*shape \(4,\) for image 0"),
        ({"images": [np.zeros((4, 4, 3))]}, "uint8 arrays.*float64 of shape"),
        ({"images": [np.zeros((4, 4), "uint8")]}, r"uint8 of shape \(4, 4\)"),
        ({"images": ["a.jpg"]}, "str as image 0"),
        ({"score_threshold": -1}, "`score_threshold`"),
        ({"nms_threshold": 2}, "`nms_threshold`"),
        ({"max_detections": 0}, "`max_detections`"),
        ({"shorter_side": 300}, "`shorter_side`"),
        ({"detector": keras.Sequential()}, "`detector`"),
    ],
)
def test_bad_input_is_refused(changes, message):
    arguments = {
        "detector": fake_detector(),
        "images": [image()],
        "proposals": [[[1, 1, 9, 9]]],
        **SIZES,
    }
    with pytest.raises(ValueError, match=f"Argument .*{message}"):
        detection.detect(**arguments | changes)


def test_outputs_that_are_not_finite_are_an_error():
    with pytest.raises(ValueError, match="`detector` must be a model with finite"):
        detection.detect(
            fake_detector((np.nan,) * 4), [image()], [[[1, 1, 9, 9]]], **SIZES
        )
