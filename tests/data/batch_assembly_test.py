"""Images that cannot be decoded are logged once, and not tried again."""

import subprocess
import sys

import numpy as np
import pytest
from processes import environment

from keras_prelu import data
from keras_prelu.data import batch_assembly
from tests.data.conftest import broken_jpeg, encoded, wavy_image

pytestmark = pytest.mark.tensorflow_only
SIZE = {"image_size": 32, "scale": (32, 48)}

# Eleven epochs, with all messages that TensorFlow shows to users of the programs.
_ELEVEN_EPOCHS = """
import sys
import keras_prelu
source = keras_prelu.data.from_directory(sys.argv[1], max_bad=3)
for augment_on in "device", "host":
    batches = keras_prelu.data.train_batches(
        source, 5, image_size=32, scale=(32, 48), augment_on=augment_on)
    for batch in batches.take(60):
        pass
"""


@pytest.fixture
def damaged(folder):
    """Return a folder with three bad files of 26: a PNG, a JPEG and a text."""
    torn = encoded(wavy_image(60, 60), "PNG")[:-3000]
    (folder / "ant" / "torn.png").write_bytes(torn)
    (folder / "bee" / "broken.jpg").write_bytes(
        broken_jpeg(encoded(wavy_image(60, 60)))
    )
    (folder / "cat" / "text.jpg").write_bytes(b"meow")
    return folder


@pytest.mark.slow
def test_each_bad_file_is_logged_once_in_many_epochs(damaged):
    done = subprocess.run(
        [sys.executable, "-c", _ELEVEN_EPOCHS, str(damaged)],
        env=environment({"TF_CPP_MIN_LOG_LEVEL": "1"}),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    for name in ("torn.png", "broken.jpg", "text.jpg"):
        assert len([line for line in lines if name in line]) == 1
    assert "Traceback" not in done.stderr
    # libjpeg writes a line each time it decodes the file. That happens a few times at
    # first, in batches that were read ahead.
    assert len([line for line in lines if "Huffman" in line]) <= 6


def _with_damage_in_the_middle():
    """Return a JPEG with a wrong marker inside, which only low windows reach."""
    content = encoded(wavy_image(120, 90))
    middle = len(content) // 2
    return content[:middle] + b"\xff\x02" + content[middle + 2 :]


def test_batches_do_not_depend_on_bad_images_found_earlier(folder):
    """Only some of the windows that are drawn are damaged."""
    path = folder / "ant" / "00.jpg"
    path.write_bytes(_with_damage_in_the_middle())
    source = data.from_directory(folder)
    whole = list(data.train_batches(source, 6, **SIZE).take(40))
    assert source.bad == {0: batch_assembly.Extent.SOMEWHERE}
    for start in range(0, 40, 8):
        fresh = data.from_directory(folder)
        later = data.train_batches(fresh, 6, start_step=start, **SIZE).take(40 - start)
        for (x, y), (again, labels) in zip(whole[start:], later, strict=True):
            np.testing.assert_array_equal(y, labels)
            for name in x:
                np.testing.assert_array_equal(x[name], again[name])


def test_a_file_that_is_bad_everywhere_is_not_read_again(damaged, monkeypatch):
    source = data.from_directory(damaged, max_bad=3)
    list(data.train_batches(source, 26, **SIZE).take(1))
    bad = {i for i in range(26) if source.paths[i] in source.skipped}
    assert source.bad == dict.fromkeys(bad, batch_assembly.Extent.EVERYWHERE)
    read = set()
    monkeypatch.setattr(
        source,
        "read",
        lambda index: read.add(index) or type(source).read(source, index),
    )
    list(data.train_batches(source, 26, **SIZE).take(3))
    assert read == set(range(26)) - bad


def test_after_too_many_bad_files_every_further_pass_is_an_error(damaged):
    source = data.from_directory(damaged, max_bad=2)
    for _ in range(2):  # the second as a user might try again
        with pytest.raises(data.TooManyBadImagesError) as error:  # noqa: SIM117
            with data.original_errors():
                list(data.eval_batches(source, 4, image_size=32, scale=40))
        assert "3 images cannot be used; `max_bad` allows 2 of 26" in str(error.value)


def test_an_error_in_a_source_is_raised_unchanged(folder):
    """The traceback shows where: no bad image caused it."""

    class Buggy(data.Source):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return {}["no such key"], 0

    batches = data.eval_batches(Buggy(["ant"]), 2, image_size=32, scale=40)
    with pytest.raises(KeyError, match="no such key") as error:  # noqa: SIM117
        with data.original_errors():
            list(batches)
    assert error.traceback[-1].name == "__getitem__"
    # Without `original_errors`, TensorFlow's error contains the same text.
    with pytest.raises(Exception, match="in __getitem__.*KeyError: .*no such key"):
        list(batches)
