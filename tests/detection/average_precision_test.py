"""Average precision: by hand, in plain Python, and against pycocotools."""

import contextlib
import io

import numpy as np
import pytest

from keras_prelu.data.annotations import as_objects
from keras_prelu.detection import Detections
from keras_prelu.detection import average_precision as ap

SQUARE = [0, 0, 10, 10]
NEAR = [0, 0, 10, 6]  # an intersection over union of 0.6 with the square
HALF = [0, 0, 10, 5]  # exactly 0.5
AWAY = [50, 50, 60, 60]


def found(*rows, label=0):
    """Return detections of one class from pairs (box, score)."""
    return Detections(
        np.array([box for box, _ in rows], "float32").reshape(-1, 4),
        np.full(len(rows), label, "int32"),
        np.array([score for _, score in rows], "float32"),
    )


def wanted(*boxes, difficult=None, label=0):
    return as_objects(boxes, [label] * len(boxes), difficult or [False] * len(boxes))


def right_of(detections, objects):
    return ap.voc_curve([detections], [objects], 0).right.tolist()


def test_a_match_needs_more_than_half():
    assert right_of(found((NEAR, 0.5)), wanted(SQUARE)) == [True]
    assert right_of(found((HALF, 0.5)), wanted(SQUARE)) == [False]
    assert right_of(found((AWAY, 0.5)), wanted(SQUARE)) == [False]


def test_duplicates_are_wrong_even_if_another_object_is_near():
    detections = found((NEAR, 0.9), (SQUARE, 0.8))
    assert right_of(detections, wanted(SQUARE)) == [True, False]
    # Both overlap the first object most, so the second object stays without a match.
    near = [0, 0, 10, 9]
    detections = found((SQUARE, 0.9), (SQUARE, 0.8))
    assert right_of(detections, wanted(SQUARE, near)) == [True, False]


def test_difficult_objects_do_not_count():
    objects = wanted(SQUARE, AWAY, difficult=[True, False])
    detections = found((SQUARE, 0.9), (NEAR, 0.8), (AWAY, 0.7))
    curve = ap.voc_curve([detections], [objects], 0)
    assert (curve.right.tolist(), curve.objects) == ([True], 1)
    for curve in ap.coco_curves([detections], [objects], 0)[:2]:
        assert (curve.right.tolist(), curve.objects) == ([True], 1)


def test_other_classes_and_images_do_not_match():
    curve = ap.voc_curve([found((SQUARE, 0.9))], [wanted(SQUARE, label=1)], 0)
    assert (curve.right.tolist(), curve.objects) == ([False], 0)
    detections = [found(), found((SQUARE, 0.9))]
    curve = ap.voc_curve(detections, [wanted(SQUARE), wanted()], 0)
    assert (curve.right.tolist(), curve.objects) == ([False], 1)


def test_equal_scores_are_in_the_order_of_images_and_detections():
    detections = [found((AWAY, 0.5), (SQUARE, 0.5)), found((SQUARE, 0.5))]
    curve = ap.voc_curve(detections, [wanted(SQUARE)] * 2, 0)
    assert curve.right.tolist() == [False, True, True]


def test_precision_and_average_precision_by_hand():
    curve = ap.Curve(np.arange(5, 0, -1), np.array([1, 0, 1, 0, 0], bool), 4)
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2, 2 / 5])
    np.testing.assert_allclose(curve.recall, [1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 2])
    # Recalls 0, 0.1, 0.2 have a precision of 1; 0.3, 0.4, 0.5 have 2/3; the rest none.
    assert ap.at_11_points(curve) == pytest.approx((3 + 3 * 2 / 3) / 11)
    assert ap.area_under(curve) == pytest.approx((1 + 2 / 3) / 4)
    assert ap.at_101_points(curve) == pytest.approx((26 + 25 * 2 / 3) / 101)


def test_three_of_ten_reach_a_recall_of_three_tenths():
    curve = ap.Curve(np.arange(3, 0, -1), np.ones(3, bool), 10)
    assert ap.at_11_points(curve) == pytest.approx(4 / 11)


@pytest.mark.parametrize("average", [ap.at_11_points, ap.area_under, ap.at_101_points])
def test_no_objects_are_nan_and_no_detections_zero(average):
    assert np.isnan(average(ap.Curve(np.ones(2), np.zeros(2, bool), 0)))
    assert average(ap.Curve(np.zeros(0), np.zeros(0, bool), 3)) == 0
    assert average(ap.Curve(np.ones(3), np.ones(3, bool), 3)) == 1


def random_data(seed, images=20, classes=3, difficult=0.2):
    """Return detections and objects; scores have ties only within a class's image."""
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for _ in range(images):
        count = rng.integers(0, 7)
        starts = rng.uniform(0, 200, (count, 2))
        boxes = np.concatenate([starts, starts + rng.uniform(8, 160, (count, 2))], 1)
        labels = rng.integers(0, classes, count)
        objects.append(as_objects(boxes, labels, rng.random(count) < difficult))
        guesses = np.repeat(boxes, 5, axis=0)
        guesses += rng.normal(0, 6, guesses.shape)
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2] + 2)
        labels = np.repeat(labels, 5)
        changed = rng.random(len(labels)) < 0.2
        labels = np.where(changed, rng.integers(0, classes, len(labels)), labels)
        scores = rng.permutation(10**6)[: len(labels)] / 10**6
        detections.append(
            Detections(*map(np.asarray, (np.float32(guesses), labels, scores)))
        )
    return detections, objects


def plain_voc(detections, objects, label):
    """Follow the description of the development kit, one detection at a time."""
    everything = [
        (float(score), image, list(map(float, box)))
        for image, of_image in enumerate(detections)
        for box, kind, score in zip(*of_image, strict=True)
        if kind == label
    ]
    everything.sort(key=lambda entry: -entry[0])
    total = sum(
        kind == label and not difficult
        for of_image in objects
        for _, kind, difficult in zip(*of_image, strict=True)
    )
    taken, true, false, points = set(), 0, 0, []
    for _, image, (x1, y1, x2, y2) in everything:
        best, most = None, -1.0
        for number, (box, kind, difficult) in enumerate(
            zip(*objects[image], strict=True)
        ):
            if kind != label:
                continue
            a1, b1, a2, b2 = map(float, box)
            width, height = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
            common = width * height if width > 0 and height > 0 else 0.0
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common
            if common / union > most:
                best, most = (number, difficult), common / union
        if most > 0.5 and best[1]:
            continue
        if most > 0.5 and (image, best[0]) not in taken:
            taken.add((image, best[0]))
            true += 1
        else:
            false += 1
        points.append((true / total, true / (true + false)))
    tenths = [
        max([p for r, p in points if r >= k / 10 - 1e-9], default=0) for k in range(11)
    ]
    area, before = 0.0, 0.0
    for recall, _ in points:
        height = max(p for r, p in points if r >= recall)
        area, before = area + (recall - before) * height, recall
    return sum(tenths) / 11, area


@pytest.mark.parametrize("seed", range(3))
def test_voc_equals_the_plain_implementation(seed):
    detections, objects = random_data(seed)
    for label in range(3):
        curve = ap.voc_curve(detections, objects, label)
        expected = plain_voc(detections, objects, label)
        assert 0.05 < expected[0] < 0.95
        ours = ap.at_11_points(curve), ap.area_under(curve)
        np.testing.assert_allclose(ours, expected, rtol=1e-12)


def coco_precision(detections, objects, classes):
    """Return pycocotools' precision of shape (thresholds, recalls, classes, areas)."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        x1, y1, x2, y2 = map(float, box)
        return [x1, y1, x2 - x1, y2 - y1]

    annotations = [
        {"image_id": image, "category_id": int(kind), "bbox": xywh(box)}
        for image, of_image in enumerate(objects)
        for box, kind, _ in zip(*of_image, strict=True)
    ]
    for number, entry in enumerate(annotations, start=1):
        area = entry["bbox"][2] * entry["bbox"][3]
        entry.update(id=number, iscrowd=0, area=area)
    results = [
        {
            "image_id": image,
            "category_id": int(kind),
            "bbox": xywh(box),
            "score": float(score),
        }
        for image, of_image in enumerate(detections)
        for box, kind, score in zip(*of_image, strict=True)
    ]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(len(objects))],
        "categories": [{"id": label} for label in range(classes)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., 2]


@pytest.mark.parametrize("seed", range(3))
def test_coco_equals_pycocotools(seed):
    detections, objects = random_data(seed, difficult=0)
    # One image with more than 100 detections of a class.
    rng = np.random.default_rng(seed)
    starts = rng.uniform(0, 90, (150, 2))
    boxes = np.concatenate([starts, starts + rng.uniform(9, 99, (150, 2))], 1)
    scores = rng.permutation(150) / 150
    detections.append(Detections(np.float32(boxes), np.zeros(150, int), scores))
    objects.append(wanted(*boxes[::5]))
    theirs = coco_precision(detections, objects, 3)
    for number, area in enumerate(ap.AREAS):
        for label in range(3):
            curves = ap.coco_curves(detections, objects, label, area)
            ours = [ap.at_101_points(curve) for curve in curves]
            expected = theirs[:, :, label, number].mean(axis=1)
            expected[expected < 0] = np.nan
            np.testing.assert_allclose(ours, expected, rtol=1e-9)
            if area == "all":
                assert 0.2 < ours[0] < 0.98
                assert ours[-1] < ours[0] / 2


def test_coco_takes_the_next_object_if_the_best_is_taken():
    near = [0, 0, 10, 9]
    detections = found((SQUARE, 0.9), (SQUARE, 0.8))
    curve = ap.coco_curves([detections], [wanted(SQUARE, near)], 0)[0]
    assert curve.right.tolist() == [True, True]
    curve = ap.coco_curves([found((HALF, 0.9))], [wanted(SQUARE)], 0)[0]
    assert curve.right.tolist() == [True]


def test_coco_prefers_an_object_that_counts_to_a_nearer_difficult_one():
    objects = wanted(SQUARE, [0, 0, 10, 9], difficult=[True, False])
    curve = ap.coco_curves([found((SQUARE, 0.9))], [objects], 0)[0]
    assert curve.right.tolist() == [True]
    # At 0.95 only the difficult one is near enough: the detection does not count.
    curve = ap.coco_curves([found((SQUARE, 0.9))], [objects], 0)[-1]
    assert curve.right.tolist() == []
