"""Sources and proposals that every function takes, or refuses before it starts."""

import pytest
from toy import Toy, jittered

from keras_prelu import data, detection
from tests.data.conftest import arrays
from tests.detection.detecting_test import SIZES, fake_detector

BATCHES = {"batch_size": 2, "regions": 16, "shorter_side": 64, "longest_side": 120}


def train(source, proposals):
    batches = detection.train_batches(source, proposals, **BATCHES)
    return [x["boxes"].tolist() for x, _ in arrays(batches, 3)]


def validate(source, proposals):
    batches = detection.eval_batches(source, proposals, **BATCHES)
    return [x["boxes"].tolist() for x, _ in arrays(batches, -1)]


def statistics(source, proposals):
    return [values.tolist() for values in detection.delta_statistics(source, proposals)]


def recall(source, proposals):
    return detection.recall(proposals, source)


def perfect(source, proposals):
    found = detection.perfect_detections(proposals, source)
    return [of_image.boxes.tolist() for of_image in found]


def evaluate(source, proposals):
    detector = fake_detector()
    return detection.evaluate(detector, source, proposals, verbose=0, **SIZES).to_dict()


each_function = pytest.mark.parametrize(
    "function", [train, validate, statistics, recall, perfect, evaluate]
)


class Unread(Toy):
    """A source whose images must not be read."""

    def __getitem__(self, index):
        pytest.fail("an image was read")


@each_function
def test_a_source_of_labels_is_refused(function, tmp_path):
    source = data.from_files([tmp_path / "1.png"] * 5, [0] * 5, ["low"])
    message = "^Argument `source` must .*AnnotatedSource.*Received: source=FileSource$"
    with pytest.raises(TypeError, match=message):
        function(source, jittered(Toy()))


@each_function
def test_proposals_may_be_lists(function):
    proposals = jittered(Toy())
    proposals[3] = proposals[3][:0]
    lists = [boxes.tolist() for boxes in proposals]
    assert lists[3] == []
    assert function(Toy(), lists) == function(Toy(), proposals)


@each_function
def test_proposals_that_do_not_fit_are_refused(function):
    proposals = jittered(Toy())
    of_all = "have one array per image of `source`, 5"
    of_one = r"have arrays of shape \(n, 4\)"
    for others, message in (
        (proposals[:4], f"{of_all}. Received: proposals of length 4$"),
        ([*proposals, proposals[0]], f"{of_all}. Received: proposals of length 6$"),
        (proposals[:4] + [[[0, 0, 9, 9, 1]]], rf"{of_one}.* \(1, 5\) for image 4$"),
        (proposals[:4] + [[0, 0, 9, 9]], rf"{of_one}.* \(4,\) for image 4$"),
    ):
        with pytest.raises(ValueError, match=f"^Argument `proposals` must {message}"):
            function(Unread(), others)


@each_function
def test_a_generator_of_proposals_is_refused(function):
    message = "^Argument `proposals` must be a sequence.*Received: proposals=generator$"
    with pytest.raises(TypeError, match=message):
        function(Unread(), (boxes for boxes in jittered(Toy())))
