"""Ways to interrupt a training run: a kill, and the signal of a scheduler."""

import contextlib
import os
import signal
from unittest import mock

import keras
import numpy as np


class InterruptedRunError(Exception):
    """Stands for a kill: only the files of the process survive it."""


def interrupt():
    raise InterruptedRunError


def send_sigterm():
    os.kill(os.getpid(), signal.SIGTERM)


class InterruptAt(keras.callbacks.Callback):
    """Runs an action at the n-th call of one of the callback's methods."""

    def __init__(self, method, count, action):
        super().__init__()
        self.calls = 0

        def counted(*args, **kwargs):
            self.calls += 1
            if self.calls == count:
                action()

        setattr(self, method, counted)


@contextlib.contextmanager
def sigterm_in_each_save():
    """Send SIGTERM to this process whenever it begins to save a checkpoint."""
    save = np.savez

    def terminated(file, **arrays):
        send_sigterm()
        save(file, **arrays)

    with mock.patch.object(np, "savez", terminated):
        yield
