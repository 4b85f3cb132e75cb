"""Other systems than Linux are simulated; nothing here runs on them."""

import errno
import importlib.util
import os
import pathlib
import subprocess
import sys
import textwrap
import types

import pytest

from keras_prelu import platforms

ROOT = pathlib.Path(__file__).parents[1]


def test_counts_the_cores_that_a_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5}, raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert platforms.usable_cores() == 3
    monkeypatch.delattr(os, "process_cpu_count")
    assert platforms.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert platforms.usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # a system that does not know
    assert platforms.usable_cores() == 1


def windows_locking():
    """Return a stand-in for Windows' `msvcrt`, which raises another error."""
    fcntl = pytest.importorskip("fcntl")

    def locking(descriptor, mode, count):
        if mode != "LK_NBLCK" or count != 1:
            raise ValueError(f"Received: mode={mode}, count={count}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error

    return types.SimpleNamespace(locking=locking, LK_NBLCK="LK_NBLCK")


@pytest.fixture(params=["posix", "windows"])
def system(request, monkeypatch):
    """Return the module `platforms` as it is on a system."""
    if request.param == "posix":
        pytest.importorskip("fcntl")
        return platforms
    monkeypatch.setitem(sys.modules, "msvcrt", windows_locking())
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("windows", platforms.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_lock_excludes_others_until_its_file_is_closed(system, tmp_path):
    path = tmp_path / "lock"
    with path.open("a") as second:
        with path.open("a") as first:
            system.lock(first)
            with pytest.raises(BlockingIOError):
                system.lock(second)
        system.lock(second)


def test_a_killed_process_releases_its_lock(tmp_path):
    code = f"""
        import importlib.util, sys, time
        sys.path.insert(0, {str(pathlib.Path(platforms.__file__).parent)!r})
        import platforms
        file = open("lock", "a")
        platforms.lock(file)
        print("locked", flush=True)
        time.sleep(600)
    """
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "locked\n"
    with (tmp_path / "lock").open("a") as file:
        with pytest.raises(BlockingIOError):
            platforms.lock(file)
        holder.kill()
        holder.communicate()
        platforms.lock(file)


def test_windows_syncs_writable_files_and_no_folders(monkeypatch, tmp_path):
    opened = []
    open_descriptor = os.open

    def open_on_windows(path, flags):
        if pathlib.Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        opened.append((path, flags))
        return open_descriptor(path, flags)

    monkeypatch.setattr(platforms, "_IS_WINDOWS", True)
    monkeypatch.setattr(os, "open", open_on_windows)
    file = tmp_path / "notes.txt"
    file.write_text("complete", encoding="utf-8")
    platforms.sync(file)
    platforms.sync(tmp_path)
    assert opened == [(file, os.O_RDWR)]


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_imports_on_a_system_without_fcntl_and_sched_getaffinity():
    """Windows has neither `fcntl` nor `os.sched_getaffinity`."""
    code = """
        import os, sys, types
        import keras, tensorflow  # they use these modules too
        del os.sched_getaffinity
        sys.modules["fcntl"] = None
        sys.modules["msvcrt"] = types.ModuleType("msvcrt")
        from training import workdir
        from keras_prelu import data
        from keras_prelu.data import batch_assembly
        print(batch_assembly.CORES == os.cpu_count(), data.train_batches.__name__)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.stdout == "True train_batches\n", result.stderr
