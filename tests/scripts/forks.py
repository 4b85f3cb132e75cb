"""Run command lines of Python in forks of this process, which has imported TensorFlow.

    python tests/scripts/forks.py

It reads command lines, one JSON list per line, and answers each by a line: the exit
code and what the process printed to stdout and to stderr. It ends when its input does.
"""

import json
import os
import runpy
import signal
import sys
import tempfile
import traceback

from training import console

# Imported only so that no fork needs to, and as the programs import it.
with console.quiet_import():
    import matplotlib.pyplot  # noqa: F401

    import keras_prelu.data
    import keras_prelu.evaluation  # noqa: F401

SECONDS = 300


def run(option, what, *arguments):
    """Run what `python -m` or `python -c` would run."""
    sys.argv = [option, *arguments]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


def run_in_child(command, out, err):
    """Run a command line, and end the process as Python does."""
    signal.alarm(SECONDS)  # ends a process that hangs
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        run(*command)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    sys.exit()


def main():
    """Answer all command lines."""
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                run_in_child(json.loads(line), out, err)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            printed = []
            for file in (out, err):
                file.seek(0)
                printed.append(file.read())
            print(json.dumps([code, *printed]), flush=True)


if __name__ == "__main__":
    main()
