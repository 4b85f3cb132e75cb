"""Arguments that are numbers: those of NumPy are accepted, and booleans are not."""

import decimal
import fractions
import json

import numpy as np
import pytest

from keras_prelu import data, detection
from keras_prelu.applications import Model14, ModelA
from keras_prelu.callbacks import ExactResume
from keras_prelu.callbacks.checkpoints import Checkpoints
from keras_prelu.data.annotations import as_objects
from keras_prelu.detection.detecting import DetectionOptions, Detections
from keras_prelu.evaluation import evaluate
from keras_prelu.finetuning import with_new_head
from keras_prelu.finetuning.class_weights import weighted
from keras_prelu.finetuning.datasets import Prepared
from keras_prelu.finetuning.options import Options
from keras_prelu.initializers import HeNormal
from keras_prelu.layers import PReLU, RegionPooling, SpatialPyramidPooling
from keras_prelu.metrics import TopKError
from keras_prelu.number_checks import is_integer, is_position, is_real
from keras_prelu.optimizers import SGD
from tests.detection.toy import Toy, jittered


def test_integers_are_told_from_other_values():
    for value in (3, np.int64(3), np.uint8(3)):
        assert is_integer(value)
    for value in (True, np.True_, 3.0, np.float32(3), "3", None, np.ones(1, int)):
        assert not is_integer(value)
    assert [is_integer(value, least=3) for value in (2, 3, 4)] == [False, True, True]
    assert [is_position(i, 2) for i in (-1, 0, 1, 2)] == [False, True, True, False]
    assert not is_position(True, 2)


@pytest.mark.parametrize(
    "value",
    [0, -3, 0.1, np.float16(0.5), np.float32(0.1), np.float64(-2), np.uint8(3)],
)
def test_finite_numbers_of_python_and_numpy_are_real(value):
    assert is_real(value) is True


@pytest.mark.parametrize(
    "value",
    [
        *(True, np.True_, None, "0.1", 1j, np.complex64(1)),
        *(float("nan"), float("inf"), -float("inf")),
        *(np.float32("nan"), np.float16("inf"), np.float64("-inf")),
        *(np.ones(()), np.ones(1), [0.1]),
        *(decimal.Decimal("0.1"), fractions.Fraction(1, 2)),
    ],
)
def test_other_values_are_not_real(value):
    assert is_real(value) is False


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("k", TopKError),
        ("levels", lambda value: SpatialPyramidPooling((value,))),
        ("seed", lambda value: HeNormal(seed=value)),
        ("side", lambda value: detection.proposals(Toy(1), side=value, verbose=False)),
    ],
)
def test_integers_of_numpy_are_kept_as_those_of_python(name, make):
    """So that JSON can write them."""
    if name == "side":
        pytest.importorskip("cv2", reason="selective search needs OpenCV")
    kept = [make(value) for value in (np.int64(8), 8)]
    if isinstance(kept[0], detection.Proposals):
        configs = [proposals.fingerprint() for proposals in kept]
    else:
        configs = [layer.get_config() for layer in kept]
    first, second = ({**config, "name": None} for config in configs)
    assert json.dumps(first) == json.dumps(second)


def test_batches_of_regions_take_integers_of_numpy():
    source, side = Toy(2), np.int64(64)
    batches = detection.train_batches(
        source, jittered(source), np.int64(2), np.int64(4), side, np.int64(120)
    )
    x, _ = next(iter(batches))
    assert tuple(x["boxes"].shape) == (2, 4, 4)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("k", TopKError),
        ("classes", lambda value: ModelA(classes=value)),
        ("input_shape", lambda value: ModelA(input_shape=(value, 32, 3))),
        ("levels", lambda value: SpatialPyramidPooling((2, value))),
        ("seed", lambda value: HeNormal(seed=value)),
        ("keep", lambda value: Checkpoints("never", keep=value)),
        ("side", lambda value: detection.proposals(Toy(1), side=value)),
        ("regions", lambda value: detection.train_batches(Toy(), [], regions=value)),
        (
            "batch_size",
            lambda value: evaluate(ModelA(weights="shapes"), Toy(), batch_size=value),
        ),
        ("max_bad", lambda value: data.Source(["ant"], max_bad=value)),
        (
            "max_detections",
            lambda value: DetectionOptions(max_detections=value).check(),
        ),
        ("classes", lambda value: detection.fast_rcnn(_small(), value)),
        ("seed", lambda value: with_new_head(_small(), 2, seed=value)),
        ("seed", lambda value: Options(seed=value)),
        ("seed", lambda value: data.split(_Two(["ant", "bee"]), seed=value)),
    ],
)
@pytest.mark.parametrize("value", [True, 2.5, "3"])
def test_values_that_are_not_integers_are_refused(name, call, value):
    message = f"Argument `{name}` must.*Received.*{value!r}"
    with pytest.raises(ValueError, match=message):
        call(value)


def _small():
    return Model14(width=1 / 64, classes=2)


def test_the_classes_of_a_detector_can_be_an_integer_of_numpy():
    detector = detection.fast_rcnn(_small(), np.int64(3))
    assert detector.output["deltas"].shape[-2:] == (3, 4)


def test_the_seed_of_a_new_head_can_be_an_integer_of_numpy():
    first, second = (
        with_new_head(_small(), 3, seed=seed)[0].layers[-2].get_weights()[0]
        for seed in (5, np.int64(5))
    )
    np.testing.assert_array_equal(first, second)


class _Two(data.Source):
    """Two images of each of two classes."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return b"", index % 2


def _gallery(value):
    image, nothing = np.zeros((8, 8, 3), "uint8"), as_objects([], [], [])
    found = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    return detection.gallery([image], [nothing], [found], [], least_score=value)


def _weigh(value):
    prepared = Prepared._make([None] * len(Prepared._fields))
    prepared = prepared._replace(class_names=["ant", "bee"])
    return weighted(prepared, {0: 1.0, 1: value})


# Each argument that is a real number, and a call with it. All accept 1 / 64.
REAL = {
    "alpha_initializer": lambda value: PReLU(alpha_initializer=value),
    "slope": lambda value: HeNormal(slope=value),
    "stride": lambda value: RegionPooling(stride=value),
    "offset": lambda value: RegionPooling(offset=value),
    "weight_decay": lambda value: SGD(weight_decay=value),
    "width": lambda value: Model14(width=value, classes=2),
    "dropout": lambda value: Model14(width=1 / 64, classes=2, dropout=value),
    "learning_rate": lambda value: Options(learning_rate=value),
    "head_learning_rate": lambda value: Options(head_learning_rate=value),
    "class_weight": _weigh,
    "fraction": lambda value: data.split(_Two(["ant", "bee"]), fraction=value),
    "score_threshold": lambda value: DetectionOptions(score_threshold=value).check(),
    "nms_threshold": lambda value: DetectionOptions(nms_threshold=value).check(),
    "least_score": _gallery,
    "thresholds": lambda value: detection.recall([], Toy(0), thresholds=(0.5, value)),
}


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), "0.1"])
@pytest.mark.parametrize("name", REAL)
def test_values_that_are_not_real_are_refused(name, value):
    if name == "alpha_initializer" and isinstance(value, str):
        pytest.skip("a string is the name of an initializer")
    with pytest.raises(ValueError, match=f"Argument `{name}` must.*Received: {name}="):
        REAL[name](value)


@pytest.mark.parametrize("value", [True, -0.5, float("nan"), float("inf"), "0.1"])
@pytest.mark.parametrize("name", ["fraction", "seconds"])
def test_a_time_between_saves_that_is_not_real_is_refused(name, value, tmp_path):
    message = f"Argument `{name}` must.*Received: {name}={value!r}"
    with pytest.raises(ValueError, match=message):
        ExactResume(tmp_path / "new", **{name: value})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", REAL)
def test_real_numbers_of_numpy_are_accepted(name):
    REAL[name](np.float32(1 / 64))


@pytest.mark.parametrize("layer", [PReLU, RegionPooling])
def test_real_numbers_of_numpy_are_kept_as_those_of_python(layer):
    name = "alpha_initializer" if layer is PReLU else "stride"
    first, second = (
        {**layer(**{name: value}).get_config(), "name": None}
        for value in (np.float32(0.5), 0.5)
    )
    assert json.dumps(first) == json.dumps(second)
