"""Arguments that are integers: those of NumPy are accepted, and booleans are not."""

import json

import numpy as np
import pytest

from keras_prelu import detection
from keras_prelu.applications import ModelA
from keras_prelu.callbacks.checkpoints import Checkpoints
from keras_prelu.evaluation import evaluate
from keras_prelu.initializers import HeNormal
from keras_prelu.integers import is_integer, is_position
from keras_prelu.layers import SpatialPyramidPooling
from keras_prelu.metrics import TopKError
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
    ],
)
def test_booleans_are_refused(name, call):
    with pytest.raises(ValueError, match=f"Argument `{name}` must.*Received.*True"):
        call(True)
