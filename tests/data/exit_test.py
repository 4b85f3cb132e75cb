"""A process ends in every state of its data pipeline."""

import json
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image
from processes import ROOT, environment

from keras_prelu import applications
from keras_prelu.data.python_functions import Gate
from tests.data.conftest import wavy_image

EXITS = ROOT / "tests" / "scripts" / "exits.py"
RUNS = 6  # a crash at the end of a process does not come every time

pytestmark = pytest.mark.tensorflow_only


def _exits(mode, folder):
    """Return the exit codes of some processes, and their output."""
    done = subprocess.run(
        [sys.executable, str(EXITS), str(RUNS), mode, str(folder)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Return a folder with two classes of 16 PNGs, which Python decodes."""
    root = tmp_path_factory.mktemp("images")
    for number in range(32):
        folder = root / ("ant", "bee")[number % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(wavy_image(60, 70, number)).save(folder / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def torn(images, tmp_path_factory):
    """Return a folder with more bad files than allowed, in both classes."""
    root = tmp_path_factory.mktemp("torn") / "images"
    for source in images.glob("*/*.png"):
        target = root / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        bad = int(source.stem) % 8 < 6
        target.write_bytes(b"torn" if bad else source.read_bytes())
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode, code",
    [
        ("evaluation", 0),
        ("training", 0),
        ("without_tensorflow", 0),
        ("interrupt", -signal.SIGINT),
        ("exception", 1),
    ],
)
def test_a_process_ends_while_an_iterator_is_alive(images, mode, code):
    codes, printed = _exits(mode, images)
    assert codes == [code] * RUNS, printed[-2000:]


@pytest.mark.slow
def test_fine_tuning_on_too_many_bad_files_ends_with_one_line(python, torn, tmp_path):
    command = (
        *("-m", "training.train"),
        f"--config={ROOT / 'training' / 'recipes' / 'finetune_directory.py'}",
        f"--workdir={tmp_path}",
        f"--config.data.path={torn}",
        "--config.data.image_size=32",
        "--config.data.scale=(32, 40)",
        "--config.data.eval_scale=36",
        "--config.model.weights=",
        "--config.model.width=0.03",
        "--config.batch_size=4",
    )
    _assert_each_ends_with_one_line(python, command)


@pytest.mark.slow
def test_evaluation_of_too_many_bad_files_ends_with_one_line(python, torn, tmp_path):
    model = applications.ModelA(input_shape=(32, 32, 3), classes=2, width=1 / 32)
    model.save_weights(tmp_path / "some.weights.h5")
    command = (
        *("-m", "training.evaluate"),
        f"--weights={tmp_path / 'some.weights.h5'}",
        "--model=model_a",
        f"--width={1 / 32}",
        "--image_size=32",
        f"--data={torn.parent}",
        "--split=images",
        "--scales=36",
    )
    _assert_each_ends_with_one_line(python, command)


def _assert_each_ends_with_one_line(python, command):
    done = [python(*command) for _ in range(RUNS)]
    printed = "".join(process.stderr for process in done)
    assert [process.returncode for process in done] == [2] * RUNS, printed[-2000:]
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == RUNS
    for line in errors:
        assert "`max_bad` allows 1 of" in line and ".png: not an image in" in line
    assert "Traceback" not in printed


def test_all_python_functions_of_graphs_go_through_the_gate():
    ways = re.compile(r"\b(numpy_function|py_function|py_func|from_generator)\(")
    users = [
        path.name
        for path in (ROOT / "keras_prelu").rglob("*.py")
        if ways.search(path.read_text(encoding="utf-8"))
    ]
    assert users == ["python_functions.py"]


def test_a_closed_gate_refuses_functions():
    gate = Gate()
    with gate:
        pass
    gate.close()
    with pytest.raises(RuntimeError, match="is shutting down"), gate:
        pass


def test_closing_waits_for_running_and_late_functions():
    gate, began, ended = Gate(), threading.Event(), threading.Event()
    gate.quiet = 1.0

    def work():
        with gate:
            began.set()
            time.sleep(1.2)
        for _ in range(2):
            time.sleep(0.2)
            with pytest.raises(RuntimeError), gate:
                pass
        ended.set()

    threading.Thread(target=work).start()
    began.wait()
    gate.close()
    assert ended.is_set()


def test_closing_gives_up_on_a_function_that_never_ends():
    gate = Gate()
    gate.patience = 0.5
    with gate:
        started = time.monotonic()
        gate.close()
    assert 0.5 <= time.monotonic() - started < 5


def test_an_unused_gate_closes_at_once():
    gate = Gate()
    gate.quiet = 60
    started = time.monotonic()
    gate.close()
    assert time.monotonic() - started < 5
