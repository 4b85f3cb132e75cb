"""End processes whose data pipelines are alive, and print how each process ended.

    python tests/scripts/exits.py COUNT MODE FOLDER

It prints the exit codes as JSON, None for a process that did not end in time. The
processes are forks of this one, so that TensorFlow is imported only once.
"""

import json
import os
import signal
import sys
import threading
import time

from keras_prelu import data

SECONDS_TO_EXIT = 20
SECONDS_TO_RUN = 100  # before the exit begins
SIZE = {"image_size": 32, "scale": (32, 48)}


def evaluation(folder):
    """Keep an iterator alive as long as its module."""
    global iterator
    iterator = iter(data.eval_batches(data.from_directory(folder), 4, 32, 40))
    next(iterator)


def training(folder):
    """Keep an iterator over training batches alive, augmented on the host."""
    global iterator
    source = data.from_directory(folder)
    iterator = iter(data.train_batches(source, 4, augment_on="host", **SIZE))
    next(iterator)


def without_tensorflow(folder):
    """Keep an iterator alive whose threads have begun the next batches."""
    global iterator
    source = data.from_directory(folder)
    iterator = iter(data.train_batches(source, 4, reader="numpy", **SIZE))
    next(iterator)


def interrupt(folder):
    """Press Ctrl-C while batches are read."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    training(folder)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    for _ in iterator:
        pass


def exception(folder):
    """Raise an error whose traceback keeps an iterator alive."""
    local = iter(data.eval_batches(data.from_directory(folder), 4, 32, 40))
    next(local)
    raise LookupError("of this test")


def wait(child, exiting):
    """Return the exit code of a process, which writes when its exit begins."""
    os.set_blocking(exiting, False)
    deadline = time.monotonic() + SECONDS_TO_RUN
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        try:
            if os.read(exiting, 1):
                deadline = time.monotonic() + SECONDS_TO_EXIT
        except BlockingIOError:
            pass
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


count, mode, folder = sys.argv[1:]
codes = []
for _ in range(int(count)):
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            globals()[mode](folder)
        finally:
            os.write(writing, b".")
        sys.exit()  # with everything that the interpreter does at its end
    codes.append(wait(process, reading))
print(json.dumps(codes))
