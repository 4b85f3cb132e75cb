"""`check` and its program list the images that cannot be used."""

import importlib
import os
import pathlib
import runpy
import sys

import pytest

from keras_prelu import data
from keras_prelu.data import bad_images, decoding
from tests.data.conftest import broken_jpeg, encoded, wavy_image


@pytest.fixture
def damaged(folder):
    (folder / "ant" / "a_torn.jpg").write_bytes(encoded(wavy_image(60, 60))[:900])
    (folder / "bee" / "broken.jpg").write_bytes(
        broken_jpeg(encoded(wavy_image(60, 60)))
    )
    (folder / "cat" / "text.jpg").write_bytes(b"meow")
    return folder


def test_check_lists_bad_files_with_reasons(damaged, capsys):
    source = data.from_directory(damaged)
    report = data.check(source)
    assert [os.path.basename(bad.name) for bad in report] == [  # noqa: PTH119
        "a_torn.jpg",
        "broken.jpg",
        "text.jpg",
    ]
    assert "runcated" in report[0].reason
    assert report[1].reason == (
        "jpeg::Uncompress failed. Invalid JPEG data or crop window."
    )
    assert "not an image" in report[2].reason
    table = str(report).splitlines()
    assert table[0].split() == ["image", "reason"]
    assert table[-1] == "3 of 26 images cannot be used."
    assert "26/26" in capsys.readouterr().out  # progress
    assert not source.skipped  # checking does not skip


@pytest.mark.tensorflow_only
def test_check_says_where_training_and_evaluation_differ(damaged):
    """Evaluation leaves out all files except those marked "in training only"."""
    content = encoded(wavy_image(120, 90))
    content = content[:-60] + b"\xff\xfe" + content[-58:]  # a comment with no end
    (damaged / "cat" / "end.jpg").write_bytes(content)
    source = data.from_directory(damaged, max_bad=4)
    report = data.check(source, verbose=False)
    in_training = [bad for bad in report if bad.reason.startswith("in training only: ")]
    assert [bad.name for bad in in_training] == [str(damaged / "cat" / "end.jpg")]
    list(data.eval_batches(source, 8, image_size=32, scale=40))
    assert set(source.skipped) == {bad.name for bad in report if bad not in in_training}
    assert not [bad for bad in report if "in evaluation only" in bad.reason]


def test_a_file_that_only_pillow_refuses_is_bad_in_evaluation(folder, monkeypatch):
    def refuse(content):
        raise decoding.BadImageError("odd")

    monkeypatch.setattr(bad_images, "decode_rgb", refuse)
    report = data.check(data.from_directory(folder), verbose=False)
    assert {bad.reason for bad in report} == {"in evaluation only: odd"}
    assert len(report) == 23


def test_check_lists_missing_files_and_wrong_labels(folder):
    source = data.from_directory(folder)
    source.labels[3] = 7
    os.remove(source.paths[5])  # noqa: PTH107
    report = data.check(source, verbose=False)
    assert [bad.name for bad in report] == [source.paths[3], source.paths[5]]
    assert "label=7" in report[0].reason and "No such file" in report[1].reason


def test_check_without_bad_files(folder):
    report = data.check(data.from_directory(folder), verbose=False)
    assert not report and str(report) == "0 of 23 images cannot be used."


@pytest.mark.slow
def test_the_program_lists_bad_files(python, damaged):
    done = python("-m", "keras_prelu.data.bad_images", str(damaged))
    assert done.returncode == 1
    assert "broken.jpg" in done.stdout and "3 of 26 images" in done.stdout
    assert "RuntimeWarning" not in done.stderr


def test_the_program_names_a_missing_folder(tmp_path, monkeypatch, capsys):
    path = pathlib.Path(data.__file__).with_name("bad_images.py")
    monkeypatch.setattr(sys, "argv", ["bad_images", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 2 and "nowhere" in capsys.readouterr().err


def test_importing_the_program_leaves_the_function(folder):
    importlib.import_module("keras_prelu.data.bad_images")
    assert not data.check(data.from_directory(folder), verbose=False)
