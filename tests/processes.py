"""Processes that tests start."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def environment(variables=None):
    """Return the environment for a process without accelerators."""
    return {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        **(variables or {}),
    }


@contextlib.contextmanager
def forks():
    """Start tests/scripts/forks.py, and yield a function that runs command lines."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "scripts" / "forks.py")],
        # The level of messages is the one that the programs set.
        env=environment({"TF_CPP_MIN_LOG_LEVEL": "3"}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(*command):
            print(json.dumps(command), file=process.stdin, flush=True)
            code, out, err = json.loads(process.stdout.readline())
            return subprocess.CompletedProcess(command, code, out, err)

        yield run
