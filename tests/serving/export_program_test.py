"""The export program, started as a user starts it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_prelu import data, evaluation
from keras_prelu.export import image_ops
from tests.data.conftest import encoded as encode
from tests.data.conftest import wavy_image
from tests.export.conftest import build

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture
def export(python):
    """Return a function that exports by a command line."""

    def run(*flags):
        return python("-m", "applications.serving.export", *flags)

    return run


@pytest.fixture
def refusal(export):
    """Return a function to the one line in which a refused export ends."""

    def run(*flags):
        done = export(*flags)
        assert done.returncode == 2, done.stderr
        [line] = done.stderr.splitlines()
        return line

    return run


def make_run(folder):
    """Write the files of a run that an export needs, and return its model."""
    for name in ("ant", "bee"):
        (folder / "set" / "validation" / name).mkdir(parents=True)
        path = folder / "set" / "validation" / name / "0.png"
        path.write_bytes(encode(wavy_image(50, 40), "PNG"))
    config = {
        "name": "",
        "path": str(folder / "set"),
        "data_dir": "",
        "train": "train",
        "validation": "validation",
        "eval_scale": 36,
    }
    (folder / "config.json").write_text(json.dumps({"data": config}))
    (folder / "data.json").write_text(
        json.dumps({"train": {"class_names": ["ant", "bee"]}})
    )
    (folder / "command.txt").write_text("python train.py\n")
    model = build(32, 32, classes=2)
    model.save(folder / "model.keras")
    return model


@pytest.mark.slow
def test_scales_that_are_no_integers_end_in_one_line(export, tmp_path):
    make_run(tmp_path)
    output = f"--output={tmp_path / 'out'}"
    done = export(f"--workdir={tmp_path}", output, "--dense_scales=36,large")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: Argument `--dense_scales` must be integers")
    assert "Received: --dense_scales=36,large" in line


@pytest.mark.slow
def test_a_run_is_exported_with_its_labels_and_its_card(export, tmp_path):
    model = make_run(tmp_path)
    source = data.from_directory(tmp_path / "set" / "validation")
    summary = evaluation.evaluate(model, source, scales=(36,), verbose=0).summary()
    evaluations = {"center": {"data": "elsewhere test", **summary}}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluations))
    done = export(
        f"--workdir={tmp_path}", f"--output={tmp_path / 'out'}", "--licence=MIT"
    )
    assert done.returncode == 0, done.stderr
    version = tmp_path / "out" / "1"
    assert done.stdout.splitlines()[0] == f"Model: {version}"
    content = (tmp_path / "set" / "validation" / "bee" / "0.png").read_bytes()
    answer = tf.saved_model.load(version).signatures["classify"]
    best = answer(image_bytes=tf.constant([content]))
    crop = image_ops.resize(image_ops.decode(tf.constant(content)), 36, 32)
    scores = model.predict(crop[None], verbose=0)[0]
    names = np.array(["ant", "bee"])[np.argsort(-scores)]
    assert best["classes"].numpy().astype(str).tolist() == [names.tolist()]
    np.testing.assert_allclose(best["scores"][0], np.sort(scores)[::-1], atol=1e-5)

    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["data"]["set"] == str(tmp_path / "set")
    # With two classes a top-5 error would say nothing.
    assert card["scores"]["center"] == {"top1_error": summary["top1_error"]}
    assert card["protocol"]["center"]["scales"] == [36]
    assert card["protocol"]["center"]["data"] == "elsewhere test"
    assert card["licence"] == "MIT"
    assert card["command"] == "python train.py"
    assert card["intended_use"] == "not stated"
    assert card["export"]["scale"] == 36


def labels(version):
    return (version / "assets" / "labels.txt").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("data_are", ["moved", "changed", "those of an experiment"])
def test_the_labels_are_those_that_were_trained(export, data_are, tmp_path):
    make_run(tmp_path)
    folder = tmp_path / "set"
    if data_are == "moved":
        folder.rename(tmp_path / "elsewhere")
    if data_are == "changed":
        for old, new in (("ant", "zebra"), ("bee", "aardvark")):
            (folder / "validation" / old).rename(folder / "validation" / new)
    if data_are == "those of an experiment":  # which keeps no names
        (tmp_path / "data.json").unlink()
    done = export(f"--workdir={tmp_path}", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert labels(tmp_path / "out" / "1") == ["ant", "bee"]


@pytest.mark.slow
def test_a_byte_order_mark_is_no_part_of_a_label(export, tmp_path):
    make_run(tmp_path)
    file = tmp_path / "labels.txt"
    file.write_text("ameise\nbiene\n", encoding="utf-8-sig")  # as Notepad writes it
    done = export(
        f"--workdir={tmp_path}", f"--output={tmp_path / 'out'}", f"--labels={file}"
    )
    assert done.returncode == 0, done.stderr
    assert labels(tmp_path / "out" / "1") == ["ameise", "biene"]


@pytest.mark.slow
def test_an_empty_output_is_refused(refusal, tmp_path):
    line = refusal(f"--workdir={tmp_path}", "--output=")
    assert "Argument `--output` must be a path. Received: --output= " in line


@pytest.mark.slow
def test_an_empty_workdir_is_refused(refusal, tmp_path):
    line = refusal("--workdir=", f"--output={tmp_path}")
    assert "Argument `--workdir` must be a path. Received: --workdir= " in line


@pytest.mark.slow
def test_the_run_of_a_detector_is_refused(refusal, tmp_path):
    make_run(tmp_path)
    config = {"data": {"path": ""}, "detection": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "labels.txt").write_text("ant\nbee\n")
    line = refusal(
        f"--workdir={tmp_path}",
        f"--output={tmp_path / 'out'}",
        f"--labels={tmp_path / 'labels.txt'}",
    )
    assert f"Received: workdir={tmp_path}, which trained a detector" in line
    assert not (tmp_path / "out").exists()
