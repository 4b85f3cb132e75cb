"""The programs of applications/batch, started as a user starts them."""

import collections
import json
import os
import pathlib
import shutil
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("apache_beam")

import pyarrow.parquet

from keras_prelu import data, evaluation
from keras_prelu.data.tfds_records import prepared_builder
from keras_prelu.layers import SubtractMean
from tests.batch.conftest import (
    BAD,
    CLASSES,
    TWO_PROCESSES,
    make_collection,
    run,
    start,
)
from tests.data.conftest import encoded, tar, wavy_image
from tests.export.conftest import build

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]

# Makes a worker process of Beam fail if it imports this project.
WITHOUT_THIS_PROJECT = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras_prelu", "applications", "training"):
            raise ImportError(f"A worker imports {name}")

if "apache_beam.runners.worker.sdk_worker_main" in sys.orig_argv:
    sys.meta_path.insert(0, Refusing())
"""


def rows_of(output):
    return pyarrow.parquet.read_table(output / "images").to_pylist()


def totals_of(output):
    return json.loads((output / "totals.json").read_text())


def files_of(collection):
    """Return the images of the collection, and the pipe."""
    paths = (path for path in collection.rglob("*") if not path.is_dir())
    names = (path.name for path in collection.rglob("*"))
    assert {"notes.txt", "thumbnail.jpg"} <= set(names)
    return {
        str(path) for path in paths if path.name not in ("notes.txt", "thumbnail.jpg")
    }


def test_a_killed_worker_loses_nothing(collection, version, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_THIS_PROJECT)
    output = tmp_path / "results" / "scores"
    arguments = (f"--model={version}", f"--input={collection}", f"--output={output}")

    process = start("score", *arguments, *TWO_PROCESSES, path=[tmp_path])
    os.kill(busy_worker(process), signal.SIGKILL)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 75, err
    assert "error: Worker subprocess exited with return code" in err
    assert not output.exists()

    code, out, err = run("score", *arguments, *TWO_PROCESSES, path=[tmp_path])
    assert code == 0, err
    assert "500 images in" in out and f"{BAD} errors" in out
    assert [path.name for path in output.parent.iterdir()] == ["scores"]
    rows = rows_of(output)
    assert len(rows) == 500
    assert {row["path"] for row in rows} == files_of(collection)
    kinds = collections.Counter(row["error"] for row in rows)
    not_regular = "cannot be read: not a regular file"
    assert kinds == {None: 490, "cannot be decoded": 9, not_regular: 1}
    totals = totals_of(output)
    assert totals["images"] == 500
    assert totals["errors"] == {"cannot be decoded": 9, "cannot be read": 1}
    assert len({row["model"] for row in rows}) == 1 and len(rows[0]["model"]) == 64

    classify = tf.saved_model.load(version).signatures["classify"]
    for row in rows:
        if row["error"]:
            assert row["class"] == row["score"] == row["rank"] == []
            continue
        content = pathlib.Path(row["path"]).read_bytes()
        answer = classify(image_bytes=tf.constant([content]))
        names = [name.decode() for name in answer["classes"][0].numpy()]
        assert row["class"] == names and row["rank"] == [1, 2, 3]
        np.testing.assert_allclose(row["score"], answer["scores"][0], atol=1e-5)

    # The results are refused as an output, and stay.
    code, _, err = run("score", *arguments)
    assert code == 2 and "unless --overwrite is given" in err.splitlines()[-1]
    assert rows_of(output) == rows


def busy_worker(process):
    """Return the number of a worker process that has loaded TensorFlow."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        for number in descendants(process.pid):
            folder = pathlib.Path("/proc", str(number))
            program = (folder / "cmdline").read_bytes().partition(b"\0")[0]
            is_shell = program.endswith(b"sh")  # it starts the worker process
            if not is_shell and "libtensorflow_cc" in (folder / "maps").read_text():
                return number
        time.sleep(0.3)
    raise AssertionError(process.communicate())


def descendants(number):
    """Yield the numbers of the processes that a process has started."""
    for children in pathlib.Path("/proc", str(number)).glob("task/*/children"):
        for child in children.read_text().split():
            yield int(child)
            yield from descendants(child)


def test_other_runners_and_patterns(version, tmp_path):
    """Beam's portable runner, with its job service in the same process."""
    folder = make_collection(tmp_path / "photos", 40)
    output = tmp_path / "scores"
    code, _, err = run(
        "score",
        f"--model={version}",
        f"--input={folder}/**/*.png",
        f"--output={output}",
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=LOOPBACK",
    )
    assert code == 0, err
    paths = sorted(row["path"] for row in rows_of(output))
    assert paths == sorted(map(str, folder.rglob("*.png"))) and len(paths) == 8
    assert totals_of(output)["errors"] == {}


def test_check_finds_what_one_machine_finds(collection, tmp_path):
    code, out, err = run(
        "check", f"--input={collection}", f"--output={tmp_path / 'out'}", *TWO_PROCESSES
    )
    assert code == 1 and f"{BAD} errors" in out, err
    rows = rows_of(tmp_path / "out")
    assert {row["path"] for row in rows} == files_of(collection)
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert errors.pop(str(collection / "ant" / "pipe.jpg")).startswith("cannot be read")
    source = data.from_directory(collection)
    assert errors == dict(data.check(source, verbose=False)) and len(errors) == 9
    assert sum(totals_of(tmp_path / "out")["errors"].values()) == BAD


def test_statistics_are_those_of_one_machine(collection, tmp_path):
    output = tmp_path / "out"
    code, _, err = run(
        "statistics",
        f"--input={collection}",
        f"--output={output}",
        "--image_size=32",
        "--scale=36",
        *TWO_PROCESSES,
    )
    assert code == 0, err
    source = data.from_directory(collection, max_bad=BAD)
    batches = data.eval_batches(source, 20, image_size=32, scale=36)
    statistics = json.loads((output / "statistics.json").read_text())
    for per_pixel, mean in (
        (False, statistics["mean"]),
        (True, np.load(output / "mean_image.npy")),
    ):
        layer = SubtractMean()
        layer.adapt(batches, per_pixel=per_pixel)
        np.testing.assert_allclose(mean, layer.get_config()["mean"], rtol=1e-6)
    components = data.color_components(source)
    found = data.ColorComponents(**statistics["color_components"])
    np.testing.assert_allclose(found.eigenvalues, components.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(found.eigenvectors, components.eigenvectors, rtol=1e-9)
    totals = totals_of(output)
    assert (totals["images"], statistics["images"]) == (500, 500 - BAD)
    assert sum(totals["errors"].values()) == BAD == 500 - statistics["images"]


def test_errors_are_those_of_one_machine(collection, net, tmp_path):
    net.save(tmp_path / "net.keras")
    output = tmp_path / "out"
    code, out, err = run(
        "evaluate",
        f"--model={tmp_path / 'net.keras'}",
        f"--input={collection}",
        f"--output={output}",
        "--protocol=ten_view",
        "--scales=32,40",
        *TWO_PROCESSES,
    )
    assert code == 0, err
    source = data.from_directory(collection, max_bad=BAD)
    expected = evaluation.evaluate(net, source, "ten_view", (32, 40), verbose=0)
    summary = json.loads((output / "evaluation.json").read_text())["ten_view"]
    by_class = summary.pop("by_class")
    # One machine does not see the pipe.
    assert summary == {**expected.summary(), "skipped": expected.skipped + 1}
    assert [tuple(row.values()) for row in by_class] == expected.per_class()
    assert f"top-1 error {expected.top1:.2%}" in out

    rows = {row["path"]: row for row in rows_of(output)}
    assert len(rows) == 500
    assert sum(bool(row["error"]) for row in rows.values()) == BAD
    for index, label, best, scores in zip(
        expected.indices,
        expected.labels,
        expected.best,
        expected.best_scores,
        strict=True,
    ):
        row = rows[source.paths[index]]
        assert row["label"] == CLASSES[label]
        assert row["class"] == [CLASSES[i] for i in best]
        np.testing.assert_allclose(row["score"], scores, atol=1e-5)


def test_images_of_other_classes_than_the_run_are_refused(net, tmp_path):
    """By their numbers, bee would be ant, and cat would be bee."""
    workdir, images = tmp_path / "run", tmp_path / "set"
    workdir.mkdir()
    net.save(workdir / "model.keras")
    (workdir / "config.json").write_text("{}")
    names = json.dumps({"train": {"class_names": CLASSES}})
    (workdir / "data.json").write_text(names)
    for name in CLASSES[1:]:
        (images / name).mkdir(parents=True)
        (images / name / "0.png").write_bytes(encoded(wavy_image(40, 44), "PNG"))
    code, _, err = run(
        "evaluate",
        f"--model={workdir / 'model.keras'}",
        f"--input={images}",
        f"--output={tmp_path / 'out'}",
        "--scales=36",
    )
    assert code == 2, err
    *_, line = err.splitlines()
    assert f"Argument `--input` must have the classes of the run {workdir}. " in line
    received = f"Received: --input={images}, which has other class_names: without 'ant'"
    assert received in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("test", "`--split` must be a split with labels. Received: --split=test"),
        ("validation+test", "label=-1 of imagenet2012/5.1.0 validation+test record 1 "),
    ],
)
def test_a_split_without_labels_is_refused(split, message, tmp_path):
    """The test split of ImageNet has the label -1, which is no last class."""
    build(32, 32, classes=1000).save(tmp_path / "net.keras")
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    image = encoded(wavy_image(40, 44))
    for name in ("test", "val"):
        content = tar({f"ILSVRC2012_{name}_00000001.JPEG": image})
        (manual / f"ILSVRC2012_img_{name}.tar").write_bytes(content)
    prepared_builder("imagenet2012", tmp_path)
    code, _, err = run(
        "evaluate",
        f"--model={tmp_path / 'net.keras'}",
        "--tfds=imagenet2012",
        f"--split={split}",
        f"--data_dir={tmp_path}",
        f"--output={tmp_path / 'out'}",
        "--scales=36",
    )
    assert code == 2, err
    *_, line = err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_model_whose_path_is_a_pattern_is_refused(version, tmp_path):
    """TensorFlow would find no variables, and Beam no files for the hash."""
    model = tmp_path / "net[1]"
    shutil.copytree(version, model)
    output = tmp_path / "out"
    code, _, err = run(
        "score", f"--model={model}", f"--input={tmp_path}", f"--output={output}"
    )
    assert code == 2, err
    *_, line = err.splitlines()
    assert "must be a path without *, ? and [" in line
    assert f"Received: --model={model} (" in line
    assert not output.exists()
