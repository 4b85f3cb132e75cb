"""Detectors, trained by training.train on a folder with Pascal XML."""

import json
import os
import random
import shutil
import time

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from runs import PROGRAM, RECIPE, finish, start

from keras_prelu.callbacks import Checkpoints
from keras_prelu.tables import read_csv
from training import detection_recipe
from training.experiments import page_tables
from training.recipes import detect_scenes, detect_voc2007

pytestmark = pytest.mark.tensorflow_only
DETECTION = RECIPE.with_name("detect_scenes.py")
NOT_DETERMINISTIC = "--config.deterministic=False"
XML = """<annotation><filename>{name}.png</filename>
<object><name>{label}</name><difficult>0</difficult><bndbox>
<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>
</bndbox></object></annotation>"""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder of dark images with a grey or a bright box."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("validation", 4)):
        (folder / split).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 60, (50 + number, 70, 3)).astype("uint8")
            x, y = (int(v) for v in rng.integers(0, 30, 2))
            pixels[y : y + 20, x : x + 30] = (130, 240)[number % 2]
            name = f"{number}"
            Image.fromarray(pixels).save(folder / split / f"{name}.png")
            text = XML.format(
                name=name,
                label=("grey", "bright")[number % 2],
                x1=x + 1,
                y1=y + 1,
                x2=x + 30,
                y2=y + 20,
            )
            (folder / split / f"{name}.xml").write_text(text)
    return folder


def arguments(images, workdir, *more):
    """Return the command line of a run of two epochs of two steps."""
    return [
        *PROGRAM,
        f"--config={DETECTION}",
        f"--workdir={workdir}",
        f"--config.data.path={images}",
        "--config.model.weights=",
        "--config.model.width=0.03",
        "--config.model.dropout=0.5",
        "--config.proposals.method=grid",
        "--config.proposals.side=0",
        f"--config.proposals.directory={images.parent / 'proposals'}",
        "--config.detection.regions=8",
        "--config.detection.shorter_side=(48, 64)",
        "--config.epochs=2",
        *more,
    ]


@pytest.mark.slow
def test_a_run_trains_and_reports(images, tmp_path, command_line, capsys):
    command_line(arguments(images, tmp_path, NOT_DETERMINISTIC))
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["metric"] == "voc07"
    assert 0 <= evaluation["mean_ap"] <= 1
    assert evaluation["proposal_recall"]["0.5"] > 0.5
    drawn = {path.name for path in (tmp_path / "report").iterdir()}
    expected = {"curves.png", "slopes.png", "precision_recall.png", "detections.png"}
    assert drawn == expected
    printed = capsys.readouterr().out
    assert "8 training images and 4 validation images" in printed
    assert "Fast R-CNN on model_a" in printed
    run = json.loads((tmp_path / "data.json").read_text())
    assert run["train"]["proposals"]["method"] == "grid"


@pytest.mark.slow
def test_a_finished_run_draws_what_it_finds(images, tmp_path, command_line, python):
    """One of the images is cut off."""
    workdir = tmp_path / "run"
    command_line(arguments(images, workdir, NOT_DETERMINISTIC))
    folder, output = tmp_path / "photos", tmp_path / "drawn"
    shutil.copytree(images / "validation", folder)
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:200])
    odd = os.fsdecode(b"caf\xe9, 3.png")
    (folder / "3.png").rename(folder / odd)
    done = python(
        *("-m", "applications.detection.draw", "--score_threshold=0.1"),
        *(f"--workdir={workdir}", f"--images={folder}", f"--output={output}"),
    )
    assert done.returncode == 0, done.stderr
    assert "1 images skipped" in done.stdout
    names = {path.name for path in output.iterdir()}
    files = {f"{odd}.png", *(f"{n}.png.png" for n in range(3))}
    assert names == {"detections.csv", *files}
    rows = read_csv(output / "detections.csv")
    printed = {r"caf\xe9, 3.png", *(f"{n}.png" for n in range(3))}
    assert {row["image"] for row in rows} == printed
    assert {row["class"] for row in rows} <= {"grey", "bright"}
    assert all(0 <= row["x1"] < row["x2"] <= 70 for row in rows)


@pytest.mark.slow
def test_a_run_of_a_classifier_cannot_draw(images, tmp_path, python):
    workdir, output = tmp_path / "run", tmp_path / "drawn"
    workdir.mkdir()
    (workdir / "config.json").write_text('{"model": {"name": "model_a"}}')
    (workdir / "data.json").write_text('{"train": {"class_names": ["a", "b"]}}')
    done = python(
        *("-m", "applications.detection.draw", f"--output={output}"),
        *(f"--workdir={workdir}", f"--images={images / 'validation'}"),
    )
    assert done.returncode == 2
    error = "error: Argument `--workdir` must be the folder of a detector's run"
    assert done.stderr.splitlines()[-1].startswith(error), done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


@pytest.mark.slow
def test_other_proposals_are_refused(images, tmp_path, command_line, capsys):
    """A resumed run must have the same regions to draw from."""
    command_line(arguments(images, tmp_path, NOT_DETERMINISTIC, "--config.epochs=1"))
    path = tmp_path / "data.json"
    run = json.loads(path.read_text())
    run["train"]["proposals"]["digest"] = "another"
    path.write_text(json.dumps(run))
    with pytest.raises(SystemExit):
        command_line(
            arguments(images, tmp_path, NOT_DETERMINISTIC, "--config.epochs=1")
        )
    assert "train.proposals.digest: another before" in capsys.readouterr().err


def state(workdir):
    """Return everything that must have the same bits: variables and tables."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    arrays, _ = checkpoints.load(checkpoints.good_steps()[-1])
    tables = ("metrics.csv", "slopes.csv", "evaluation.json")
    return {
        **{name: array.tobytes() for name, array in arrays.items()},
        **{name: (workdir / name).read_text() for name in tables},
    }


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_killed_at_random_moments_it_ends_with_the_same_bits(backend, images, tmp_path):
    pytest.importorskip(backend)
    variables = {"KERAS_BACKEND": backend}
    saving = ("--config.checkpoint.seconds=0.0", "--config.checkpoint.fraction=1.0")
    whole = start(*arguments(images, tmp_path / "whole", *saving), variables=variables)
    code, printed = finish(whole)
    assert code == 0, printed
    command = arguments(images, tmp_path / "killed", *saving)
    draw = random.Random(0)
    for _ in range(2 if backend == "tensorflow" else 1):
        killed = start(*command, variables=variables)
        assert any("Data:" in line for line in iter(killed.stdout.readline, ""))
        time.sleep(draw.uniform(0, 6))
        killed.kill()
        killed.wait()
    code, printed = finish(start(*command, variables=variables))
    assert code == 0, printed
    assert state(tmp_path / "killed") == state(tmp_path / "whole")


@pytest.mark.slow
def test_two_devices_end_like_one(images, tmp_path, command_line):
    """Without dropout, whose masks differ on the replicas."""
    results = []
    for distribution in ("one_device", "mirrored"):
        workdir = tmp_path / distribution
        command_line(
            arguments(
                images,
                workdir,
                NOT_DETERMINISTIC,
                "--config.model.dropout=0.0",
                f"--config.distribution={distribution}",
                "--config.epochs=1",
            )
        )
        results.append(read_csv(workdir / "metrics.csv")[0])
    one, two = results
    for name in ("loss", "deltas_loss", "scores_loss", "val_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-4), name


def data_config(path):
    return ConfigDict({"path": str(path), "train": "train", "validation": "validation"})


def test_a_csv_file_is_divided_the_same_way_each_time(images):
    lines = [f"{n}.png,1,2,30,40,{'ab'[n % 2]}" for n in range(8)]
    path = images / "train" / "boxes.csv"
    path.write_text("\n".join(["image,xmin,ymin,xmax,ymax,class", *lines]))
    train, validation = detection_recipe.open_files(data_config(path))
    again, _ = detection_recipe.open_files(data_config(path))
    assert (len(train), len(validation)) == (7, 1)
    assert train.class_names == validation.class_names == ["a", "b"]
    assert train.fingerprint() == again.fingerprint()
    paths = {part.describe(i) for part in (train, validation) for i in range(len(part))}
    assert len(paths) == 8


def test_one_folder_is_divided(images):
    train, validation = detection_recipe.open_files(data_config(images / "train"))
    assert (len(train), len(validation)) == (7, 1)


def test_an_unknown_class_of_the_validation_data_is_named(images, tmp_path):
    shutil.copytree(images, tmp_path / "set")
    file = tmp_path / "set" / "validation" / "1.xml"
    file.write_text(file.read_text().replace("bright", "brigth"))
    _, validation = detection_recipe.open_files(data_config(tmp_path / "set"))
    assert len(validation) == 3
    [(name, problem)] = validation.skipped.items()
    assert name.endswith("1.png")
    assert "unknown class 'brigth'" in problem


def test_the_recipe_of_voc_is_the_published_one():
    config = detect_voc2007.get_config()
    assert (config.batch_size, config.detection.regions) == (2, 64)
    assert config.optimizer.learning_rate == 1e-3
    steps = -(-5011 // config.batch_size)
    assert round(config.schedule.epochs[0] * steps, -4) == 30_000
    assert round(config.epochs * steps, -4) == 40_000
    assert config.keys() == detect_scenes.get_config().keys()


def test_detectors_are_compared_by_what_they_start_from(tmp_path, monkeypatch):
    from training.experiments import detection
    from training.experiments.experiment import SMALL, Experiment

    scores = {("prelu", True): 0.7, ("relu", True): 0.5, ("prelu", False): 0.2}
    started = []

    def pretend(command):
        folder = tmp_path / "work" / command[4].rpartition("/")[2]
        folder.mkdir(parents=True)
        started.append(command)
        parts = folder.name.split("-")
        score = 0.0
        if parts[0] == "detection":
            score = scores[parts[1], parts[2] == "trained"] + 0.01 * int(parts[-1])
        text = json.dumps({"mean_ap": score})
        (folder / "evaluation.json").write_text(text)
        (folder / "metrics.csv").write_text("epoch\n1\n")
        return type("Done", (), {"returncode": 0})

    limits = [{"regions_per_image": 80.0, "recall_at_0.5": 0.97}]
    limits[0] |= {"recall_at_0.7": 0.9, "perfect_classification": 0.95}
    monkeypatch.setattr(detection.subprocess, "run", pretend)
    monkeypatch.setattr(detection, "bounds", lambda experiment: limits)
    experiment = Experiment(tmp_path / "results", tmp_path / "work", SMALL)
    experiment.output.mkdir()
    detection.run(experiment)
    # Nets of 2 rectifiers with 3 seeds; 3 starts, each with a sweep and 2 seeds.
    assert len(started) == 2 * 3 + 3 * (1 + 2)
    rows = read_csv(experiment.output / "detection.csv")
    assert [row["mean_average_precision"] for row in rows] == [0.705, 0.505, 0.205]
    verdicts = read_csv(experiment.output / "detection_claims.csv")
    assert [row["verdict"] for row in verdicts] == ["as in the paper"] * 2
    assert (experiment.output / "detection.png").stat().st_size > 5000
    table = page_tables.detection(experiment.output)
    assert "| ReLU, trained on shapes | 0.003 | 2 | 50.5 ± 0.7 |" in table
    assert "(80 per image) cover 97.0% of the objects" in table


@pytest.mark.slow
def test_the_bounds_of_the_proposals(tmp_path):
    from training.experiments import detection
    from training.experiments.experiment import SMALL, Experiment

    experiment = Experiment(tmp_path / "results", tmp_path / "work", SMALL)
    [row] = detection.bounds(experiment)
    assert 0 < row["recall_at_0.7"] <= row["recall_at_0.5"] <= 1
    # An object that is covered by more than half is found.
    assert row["perfect_classification"] > 0.5
