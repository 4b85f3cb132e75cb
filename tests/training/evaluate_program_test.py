"""training.evaluate, started by its users."""

import json
import shutil

import keras
import pytest
from runs import finish, make_images, start

from keras_prelu import data
from keras_prelu.applications import ModelA
from keras_prelu.evaluation import evaluate

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]
EVALUATE = ("-m", "training.evaluate")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images") / "set")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, images):
    """Write the files of a run that an evaluation needs."""
    folder = tmp_path_factory.mktemp("run")
    model = ModelA(input_shape=(32, 32, 3), classes=2, width=1 / 32)
    model.save(folder / "model.keras")
    config = {"path": str(images), "validation": "validation", "eval_scale": 36}
    (folder / "config.json").write_text(json.dumps({"data": config}))
    write_class_names(folder, ["dark", "light"])
    return folder


@pytest.fixture
def program(python):
    """Return a function from flags to the exit code and what is printed."""

    def run(*flags):
        done = python(*EVALUATE, *flags)
        return done.returncode, done.stdout + done.stderr

    return run


def write_class_names(workdir, names):
    text = json.dumps({"train": {"class_names": names}})
    (workdir / "data.json").write_text(text)


def expected(workdir, images, protocol, scales, source=None, name=None):
    source = source or data.from_directory(images / "validation")
    model = keras.saving.load_model(workdir / "model.keras", compile=False)
    evaluation = evaluate(model, source, protocol, scales, flip=False, verbose=0)
    summary = json.loads(json.dumps(evaluation.summary()))
    return {"data": name or f"{images} validation", **summary}


def test_a_run_is_evaluated_by_all_protocols(workdir, images):
    code, printed = finish(
        start(
            *EVALUATE,
            f"--workdir={workdir}",
            "--protocol=center,ten_view,dense",
            "--scales=36,44",
            "--noflip",
        )
    )
    assert code == 0, printed
    written = json.loads((workdir / "evaluation.json").read_text())
    assert list(written) == ["center", "ten_view", "dense"]
    for protocol, summary in written.items():
        assert summary == expected(workdir, images, protocol, (36, 44))
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert table[0] == "| scale | center | ten_view | dense |"
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| 36",
        "| 44",
        "| multi-scale",
    ]
    assert table[4].split(" | ")[3] == (
        f"{100 * written['dense']['top1_error']:.2f} / n/a |"
    )
    assert (workdir / "report" / "examples.png").stat().st_size > 5000


def test_an_ensemble_of_equal_runs_is_the_run(program, workdir, images, tmp_path):
    ensemble = f"--ensemble={workdir},{workdir}"
    code, printed = program(ensemble, "--noflip", f"--output={tmp_path}")
    assert code == 0, printed
    two = json.loads((tmp_path / "evaluation.json").read_text())["center"]
    one = expected(workdir, images, "center", (36,))
    assert (one.pop("models"), two.pop("models")) == (1, 2)
    assert one == two


def test_weights_of_a_run_are_evaluated_alike(program, workdir, images, tmp_path):
    """Without mirror images by default, as in the report of a run."""
    code, printed = program(
        f"--weights={workdir / 'model.keras'}",
        "--model=model_a",
        "--width=0.03125",
        "--image_size=32",
        f"--data={images}",
        "--scales=36",
        f"--output={tmp_path}",
    )
    assert code == 0, printed
    written = json.loads((tmp_path / "evaluation.json").read_text())["center"]
    assert written == expected(workdir, images, "center", (36,))


@pytest.mark.parametrize(
    "names, is_ensemble", [(["ant", "bee"], False), (["light", "dark"], True)]
)
def test_images_of_other_classes_are_refused(
    program, names, is_ensemble, workdir, images, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(workdir, other)
    write_class_names(other, names)
    (other / "evaluation.json").unlink(missing_ok=True)
    flags = [f"--workdir={other}"]
    if is_ensemble:
        flags = [f"--ensemble={workdir},{other}", f"--output={other}"]
    code, printed = program(*flags, f"--data={images}")
    assert code == 2, printed
    *_, line = printed.splitlines()
    assert f"the classes of the run {other}" in line
    changes = "without 'ant', 'bee', with 'dark', 'light'"
    if is_ensemble:
        changes = "in another order"
    received = f"Received: --data={images}, which has other class_names"
    assert f"{received}: {changes}" in line
    assert not (other / "evaluation.json").exists()


def test_images_of_the_run_that_have_other_classes_now_are_refused(
    program, workdir, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(workdir, other)
    write_class_names(other, ["ant", "bee"])
    code, printed = program(f"--workdir={other}")
    assert code == 2, printed
    *_, line = printed.splitlines()
    assert "Received: no --data, and the run's own data have" in line


def test_a_run_that_names_no_classes_is_evaluated(program, workdir, images, tmp_path):
    """Such as a run of an experiment."""
    other = tmp_path / "other"
    shutil.copytree(workdir, other)
    (other / "data.json").unlink()
    code, printed = program(f"--workdir={other}")
    assert code == 0, printed
    written = json.loads((other / "evaluation.json").read_text())["center"]
    assert written == expected(workdir, images, "center", (36,))


@pytest.mark.parametrize("split, count", [(None, 10), ("validation", 2)])
def test_a_folder_without_splits_is_evaluated_whole(
    program, split, count, workdir, images, tmp_path
):
    """Unless a split is asked for: then it is divided as for training."""
    folder = images / "validation"
    more = [f"--split={split}"] if split else []
    flags = [f"--workdir={workdir}", f"--data={folder}", f"--output={tmp_path}", *more]
    code, printed = program(*flags)
    assert code == 0, printed
    source = data.from_directory(folder)
    name = str(folder)
    if split:
        _, source = data.split(source)
        name += " validation"
    written = json.loads((tmp_path / "evaluation.json").read_text())["center"]
    assert written == expected(workdir, images, "center", (36,), source, name)
    assert written["examples"] == count
    assert f"on {count} images" in printed


def test_a_mistyped_folder_ends_in_one_line(program, workdir):
    code, printed = program(f"--workdir={workdir}", "--data=./phtoos")
    assert code == 2, printed
    *_, line = printed.splitlines()
    assert "must be a dataset that TensorFlow Datasets knows" in line
    assert "Received: name=./phtoos" in line


def test_the_run_of_a_detector_is_refused(program, images, tmp_path):
    config = {"data": {"path": "", "validation": "test"}, "detection": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    flags = [f"--workdir={tmp_path}", f"--data={images}"]
    code, printed = program(*flags)
    assert code == 2, printed
    *_, line = printed.splitlines()
    assert "`workdir` must be the folder of a run that trained a classifier" in line
    assert f"Received: workdir={tmp_path}, which trained a detector" in line


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--workdir=a", "--ensemble=a,b"], "Received: workdir, ensemble"),
        (["--weights=a.h5", "--model=model_a"], "Received: --model=model_a, --data="),
        (["--workdir=nowhere"], "config.json in it. Received: workdir=nowhere"),
        (["--workdir="], "Received: none"),
        (["--ensemble=", "--output=a"], "Received: none"),
    ],
)
def test_wrong_flags_end_in_one_line(program, tmp_path, flags, message):
    code, printed = program(*flags)
    assert code == 2
    assert message in printed
    assert "Traceback" not in printed


def test_a_bug_is_not_reported_as_wrong_input(python, workdir):
    program = (
        "from training import evaluate; from absl import app; "
        "evaluate.evaluate = lambda *args, **arguments: {}['class_names']; "
        "app.run(evaluate.main)"
    )
    done = python("-c", program, f"--workdir={workdir}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'class_names'" in done.stderr
    assert "--traceback shows where" not in done.stderr


def test_a_broken_configuration_and_wrong_scales_end_in_one_line(
    program, workdir, tmp_path
):
    (tmp_path / "config.json").write_text('{"data": ')
    code, printed = program(f"--workdir={tmp_path}")
    assert code == 2
    assert f"error: {tmp_path / 'config.json'} must be a JSON file" in printed
    code, printed = program(f"--workdir={workdir}", "--scales=a")
    assert code == 2
    assert "Received: --scales=['a']" in printed


def test_an_empty_output_is_refused(program, workdir):
    code, printed = program(f"--workdir={workdir}", "--output=")
    assert code == 2, printed
    assert "Argument `--output` must be a path. Received: --output= (" in printed


def test_a_run_without_a_model_ends_in_one_line(program, workdir, tmp_path):
    shutil.copy(workdir / "config.json", tmp_path)
    code, printed = program(f"--workdir={tmp_path}")
    assert code == 2, printed
    *_, line = printed.splitlines()
    assert f"with its model.keras in it. Received: workdir={tmp_path}" in line
