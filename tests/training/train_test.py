"""training.train, started, stopped and started with mistakes by its users."""

import csv
import json
import random
import shlex
import shutil

import numpy as np
import pytest
from absl.testing import flagsaver
from runs import (
    FINE_TUNING,
    RECIPE,
    SAVING,
    arguments,
    finish,
    make_images,
    run_with_interruptions,
    start,
    state,
)

from keras_prelu.callbacks import PREEMPTED
from training.workdir import Workdir, read_config

pytestmark = pytest.mark.tensorflow_only
# TensorFlow cannot leave its deterministic mode within a process.
NOT_DETERMINISTIC = "--config.deterministic=False"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images") / "set")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images):
    """Return the folder of a run that nobody interrupted, and what it printed."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    code, printed = finish(start(*arguments(images, workdir, *SAVING)))
    assert code == 0, printed
    return workdir, printed


def test_a_run_explains_itself(finished, images):
    workdir, printed = finished
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"]["width"] == 0.03
    command = shlex.split((workdir / "command.txt").read_text())
    assert command == ["python", *arguments(images, workdir, *SAVING)]
    rows = list(csv.DictReader((workdir / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    evaluation = json.loads((workdir / "evaluation.json").read_text())["center"]
    assert evaluation["examples"] == 10
    # The model of the last epoch is saved, and both see the same crops.
    assert evaluation["top1_error"] == pytest.approx(float(rows[1]["val_top1_error"]))
    speed = list(csv.DictReader((workdir / "speed.csv").open()))
    assert all(0 <= float(row["input_wait"]) <= 1 for row in speed)
    drawn = {path.name for path in (workdir / "report").iterdir()}
    assert drawn == {"curves.png", "slopes.png", "confusion.png", "examples.png"}
    assert list((workdir / "tensorboard" / "validation").iterdir())
    for text in (
        "CPU",
        "1 replica(s)",
        "XLA off",
        "multiply-adds",
        "24 training images",
    ):
        assert text in printed


@pytest.mark.slow
def test_stopped_and_killed_at_random_moments_it_ends_with_the_same_bits(
    finished, images, tmp_path
):
    run_with_interruptions(arguments(images, tmp_path, *SAVING), tmp_path)
    assert state(tmp_path) == state(finished[0])


@pytest.fixture
def refused(command_line, capsys):
    """Run a command that is refused before the first step; return what it prints."""

    def run(command):
        with pytest.raises(SystemExit) as stopped:
            command_line(command)
        assert stopped.value.code == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        return line

    return run


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--config.model.widht=1"], 'Did you mean "width"'),
        (["--config.epochs=many"], "--config.epochs=many"),
        (["--config.model.name=model_x"], "Received: config.model.name='model_x'"),
        (["--config.schedule.name=never"], "Received: config.schedule.name='never'"),
        (["--config.batch_size=25"], "at most the 24 training images"),
        (["--config.data.path=/nowhere"], "Received: path=/nowhere"),
        (["--config.model.weights=none.h5"], "Received: weights='none.h5'"),
        (["--workdir=/proc/run"], "Received: workdir=/proc/run"),
        ([f"--config={RECIPE}x"], "No such file"),
        (
            [f"--config={RECIPE.with_name('imagenet.py')}:model_x"],
            "error: ValueError: Argument `--config` must name one of model_a, ",
        ),
    ],
)
def test_bad_input_is_reported_in_one_line_before_the_first_step(
    more, message, images, tmp_path, refused
):
    command = arguments(images, tmp_path / "run", NOT_DETERMINISTIC, *more)
    line = refused(command)
    assert message in line
    assert not (tmp_path / "run" / "config.json").exists()


def test_data_that_uses_random_numbers_up_do_not_change_the_start(
    tmp_path, images, refused, monkeypatch
):
    from training import train

    open_sources, build = train.from_recipe.open_sources, train.from_recipe.build_model
    starts = []

    def remember(*args):
        starts.append(build(*args).get_weights())
        raise OSError("enough")

    monkeypatch.setattr(train.from_recipe, "build_model", remember)
    for count in (0, 7):

        def prepare(config, count=count):
            [random.random() for _ in range(count)]
            return open_sources(config)

        monkeypatch.setattr(train.from_recipe, "open_sources", prepare)
        refused(arguments(images, tmp_path / str(count), NOT_DETERMINISTIC))
    for first, second in zip(*starts, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_the_training_pipeline_is_built_once_at_each_start(
    tmp_path, images, command_line, monkeypatch
):
    from training import train

    build, starts = train.from_recipe.train_batches, []

    def count(config, source, strategy, start_step, watch):
        starts.append(start_step)
        return build(config, source, strategy, start_step, watch)

    monkeypatch.setattr(train.from_recipe, "train_batches", count)
    command_line(arguments(images, tmp_path, NOT_DETERMINISTIC))
    assert starts == [0]
    command_line(arguments(images, tmp_path, NOT_DETERMINISTIC))  # resumes at the end
    assert starts == [0, 8]


def test_another_configuration_is_refused_and_the_difference_shown(
    tmp_path,
):
    config = {"optimizer": {"momentum": 0.5, "learning_rate": 0.1}, "epochs": 3}
    Workdir(tmp_path).claim(config, ["train"])
    other = {"optimizer": {"momentum": 0.9, "learning_rate": 0.1}, "epochs": 3}
    with pytest.raises(
        ValueError, match="differs: optimizer.momentum: 0.5 before, 0.9"
    ):
        Workdir(tmp_path, worker=1).claim(other, ["train"])
    Workdir(tmp_path, worker=2).claim(config, ["train"])


@pytest.fixture
def copy(finished, tmp_path):
    """Return a copy of the finished run, for tests that change it."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def test_another_seed_is_refused_by_the_checkpoints_too(copy, images, refused):
    (copy / "config.json").unlink()
    line = refused(arguments(images, copy, *SAVING, "--config.seed=1"))
    assert "config.seed: 0 before, 1 now" in line
    assert not (copy / "config.json").exists()


def rename_class(images, before, now):
    for split in ("train", "validation"):
        (images / split / before).rename(images / split / now)


@pytest.mark.parametrize("kept_in", ["data.json", "checkpoints"])
def test_a_renamed_class_is_refused(kept_in, copy, images, refused):
    if kept_in == "checkpoints":
        (copy / "data.json").unlink()
    rename_class(images, "dark", "obscure")
    try:
        line = refused(arguments(images, copy, *SAVING))
    finally:
        rename_class(images, "obscure", "dark")
    assert "train.class_names: without 'dark', with 'obscure'" in line


@pytest.mark.parametrize("change", ["renamed", "added", "removed"])
def test_an_added_removed_or_renamed_file_is_refused(change, copy, images, refused):
    folder = images / "train" / "light"
    first, other = folder / "0.png", folder / "00.png"
    kept = first.read_bytes()
    if change != "added":
        first.unlink()
    if change != "removed":
        other.write_bytes(kept)
    try:
        line = refused(arguments(images, copy, *SAVING))
    finally:
        first.write_bytes(kept)
        other.unlink(missing_ok=True)
    count = {"renamed": 12, "added": 13, "removed": 11}[change]
    assert "train.files.light: 12 files" in line
    assert f"{count} files" in line.partition("before")[2]


@pytest.mark.parametrize("content", ['{"seed": ', "[]", "\udcff"])
def test_a_broken_configuration_is_named(content, copy, images, refused):
    path = copy / "config.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    line = refused(arguments(images, copy, *SAVING))
    assert f"{path} must" in line
    with pytest.raises(ValueError, match="config.json must"):
        read_config(copy)


@pytest.mark.slow
def test_a_full_disk_at_the_end_is_reported_and_the_same_command_finishes(
    copy, images, finished
):
    for name in ("model.keras", "evaluation.json"):
        (copy / name).unlink()
    shutil.rmtree(copy / "report")
    command = arguments(images, copy, *SAVING)
    code, printed = finish(start(*command, most_bytes=10_000))
    assert code == 74, printed
    assert "File too large; make room, and the same command finishes" in printed
    assert "Traceback" not in printed
    assert not (copy / "model.keras").exists()
    code, printed = finish(start(*command))
    assert code == 0, printed
    assert state(copy) == state(finished[0])
    drawn = {path.name for path in (copy / "report").iterdir()}
    assert drawn == {"curves.png", "slopes.png", "confusion.png", "examples.png"}


def test_a_worker_whose_peer_never_starts_reports_it_and_ends(
    tmp_path, images, command_line, capsys, monkeypatch, free_cluster
):
    mine, other = free_cluster
    more = [NOT_DETERMINISTIC, "--config.distribution=multi_worker", "--wait=0.1"]
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
        command_line(arguments(images, tmp_path, *more))
    assert stopped.value.code == PREEMPTED
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"within 0.1 seconds. Received: nothing from {other}" in line


def test_workers_that_differ_are_all_refused(monkeypatch):
    from training import train

    runs = [{"config": {"seed": 0}}, {"config": {"seed": 0}}, {"config": {"seed": 2}}]
    monkeypatch.setattr(
        "keras_prelu.distribution.gather_texts",
        lambda strategy, text: [*map(json.dumps, runs)],
    )
    with pytest.raises(ValueError, match="to worker 2: config.seed: 0 before, 2 now"):
        train.refuse_different_workers(None, runs[0])


def test_unusable_checkpoints_are_reported_in_one_line(tmp_path, images, refused):
    torn = tmp_path / "checkpoints" / "step-000000004.npz"
    torn.parent.mkdir()
    torn.write_bytes(b"torn")
    line = refused(arguments(images, tmp_path, NOT_DETERMINISTIC))
    assert f"repair or delete them. Received: {torn}" in line
    assert torn.exists()


def test_a_second_process_in_the_folder_is_refused(tmp_path, images, refused):
    first = Workdir(tmp_path)
    line = refused(arguments(images, tmp_path, NOT_DETERMINISTIC))
    assert f"another process. Received: workdir={tmp_path}" in line
    assert first.is_chief


def test_an_empty_workdir_is_refused(tmp_path, images, refused, monkeypatch):
    """It is often a shell variable that is not set."""
    monkeypatch.chdir(tmp_path)
    line = refused(arguments(images, "", NOT_DETERMINISTIC))
    assert "Argument `workdir` must be a path. Received: workdir= " in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_folder_of_images_is_divided_and_fine_tuned(tmp_path, images, command_line):
    workdir = tmp_path / "run"
    more = (
        "--config.epochs=3",
        "--config.model.weights=",
        "--config.finetune.head_epochs=1",
        "--config.finetune.learning_rate=0.001",
        "--config.finetune.class_weight=balanced",
        "--config.finetune.unfreeze_from=fc1",
    )
    command_line(arguments(images / "train", workdir, *more, recipe=FINE_TUNING))
    rows = list(csv.DictReader((workdir / "metrics.csv").open()))
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-3])
    evaluation = json.loads((workdir / "evaluation.json").read_text())["center"]
    best = min(float(row["val_top1_error"]) for row in rows)
    assert evaluation["examples"] == 4  # a fifth of twelve in each class
    assert evaluation["top1_error"] == pytest.approx(best)


def test_an_option_that_fine_tuning_refuses_can_be_corrected(tmp_path, images, refused):
    wrong = ("--config.model.weights=", "--config.finetune.unfreeze_from=fc9")
    line = refused(arguments(images, tmp_path, *wrong, recipe=FINE_TUNING))
    assert "Received: unfreeze_from='fc9'" in line
    # A config.json would refuse the corrected command.
    assert [path.name for path in tmp_path.iterdir()] == [".lock-0"]


def test_a_key_that_fine_tuning_does_not_have_is_refused(tmp_path, images, refused):
    wrong = "--config.optimizer.momentum=0.5"
    line = refused(arguments(images, tmp_path, wrong, recipe=FINE_TUNING))
    assert "unknown key 'optimizer'" in line
