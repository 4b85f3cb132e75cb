"""Two processes on one machine train like one process, and stop and resume together."""

import shutil
import time

import numpy as np
import pytest
from loopback import outputs, printed_so_far, start_workers
from runs import arguments, finish, make_images, start

from keras_prelu.callbacks import PREEMPTED, Checkpoints

pytestmark = [pytest.mark.tensorflow_only, pytest.mark.slow]
# 16 training and 8 validation images: whole batches of 4 per worker. 2 × 7 steps:
# workers agree every ten on whether to save, so there are checkpoints in mid-run. No
# dropout, because each replica drops its own units.
COMMON = (
    "--config.batch_size=8",
    "--config.steps_per_epoch=7",
    "--config.model.dropout=0.0",
    "--config.optimizer.learning_rate=0.0003",
    "--config.data.color=False",
    "--config.checkpoint.seconds=0.0",
    "--config.checkpoint.fraction=1.0",
)
FOLDERS = ("checkpoints", "checkpoints/worker-1")
SEVERAL = ("--config.distribution=multi_worker",)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "set"
    return make_images(folder, train=16, validation=8)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, images):
    workdir = tmp_path_factory.mktemp("pair") / "run"
    workers = start_workers(arguments(images, workdir, *COMMON, *SEVERAL))
    printed = outputs(workers)
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(printed)
    return workdir


def variables(folder):
    checkpoints = Checkpoints(folder)
    arrays, _ = checkpoints.load(checkpoints.good_steps()[-1])
    return arrays


def test_two_workers_train_like_one_process(pair, images, tmp_path):
    code, printed = finish(start(*arguments(images, tmp_path, *COMMON)))
    assert code == 0, printed
    alone = variables(tmp_path / "checkpoints")
    first = variables(pair / "checkpoints")
    second = variables(pair / "checkpoints" / "worker-1")
    for name, value in alone.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_allclose(first[name], value, atol=1e-5, rtol=0, err_msg=name)
    ours, theirs = (
        np.genfromtxt(folder / "metrics.csv", delimiter=",", skip_header=1)
        for folder in (pair, tmp_path)
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_a_killed_worker_stops_the_other_and_the_pair_resumes(pair, images, tmp_path):
    command = arguments(images, tmp_path, *COMMON, *SEVERAL)
    first, second = start_workers(command)
    saved = [tmp_path / folder / "step-000000010.npz" for folder in FOLDERS]
    while not all(path.exists() for path in saved):
        assert first.poll() is second.poll() is None, printed_so_far(first)
        time.sleep(0.01)
    second.kill()
    [printed, _] = outputs([first, second], timeout=60)
    assert first.returncode == PREEMPTED, printed
    assert "another worker has gone" in printed
    workers = start_workers(command)
    printed = outputs(workers)
    assert [worker.returncode for worker in workers] == [0, 0], printed
    assert "Resumed after step" in printed[0]
    for folder in FOLDERS:
        again, whole = variables(tmp_path / folder), variables(pair / folder)
        for name, value in whole.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_workers_with_different_seeds_both_end_with_code_2(images, tmp_path):
    command = arguments(images, tmp_path, *COMMON, *SEVERAL)
    workers = start_workers(command, more=[[], ["--config.seed=1"]])
    for worker, printed in zip(workers, outputs(workers), strict=True):
        assert worker.returncode == 2, printed
        assert "worker 0 to worker 1: config.seed: 0 before, 1 now" in printed
    assert not (tmp_path / "config.json").exists()


def test_a_worker_that_lost_its_checkpoints_stops_both(pair, images, tmp_path):
    workdir = shutil.copytree(pair, tmp_path / "copy")
    shutil.rmtree(workdir / "checkpoints" / "worker-1")
    workers = start_workers(arguments(images, workdir, *COMMON, *SEVERAL))
    for worker, printed in zip(workers, outputs(workers), strict=True):
        assert worker.returncode == 2, printed
        assert "worker 0: 10, 14; worker 1: none" in printed
