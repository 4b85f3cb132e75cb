"""Calls of Python functions in tf.data graphs. All such calls in the package are here.

This module adds two things to `tf.numpy_function`. Errors come out as one line, where
TensorFlow would log a traceback even if the pipeline can continue. And no function runs
while the interpreter shuts down: then TensorFlow's threads can no longer run Python, a
pipeline that is deleted waits for its threads, and the process would never end.
"""

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_prelu.data.errors import text_of
from keras_prelu.types import Tensor

__all__ = ["Gate", "call_python"]


class Gate:
    """A counter of running functions that refuses new ones once it is closed.

    Attributes:
        quiet: Seconds without any running function before `close` returns.
        patience: Seconds after which `close` returns in any case.
    """

    quiet, patience = 0.1, 10.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._running = 0
        self._entered = 0

    def __enter__(self) -> None:
        with self._lock:
            self._entered += 1
            if self._closed:
                raise RuntimeError("The interpreter is shutting down.")
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1

    def close(self) -> None:
        """Refuse new functions, and wait until no more are started or running."""
        with self._lock:
            self._closed = True
        end = time.monotonic() + self.patience
        while self._entered and time.monotonic() < end:
            entered, busy = self._entered, time.process_time()
            time.sleep(self.quiet)
            # A thread that is busy in C++ may call a function later.
            busy = time.process_time() - busy
            is_quiet = not self._running and self._entered == entered
            if is_quiet and busy < self.quiet / 2:
                return


_gate = Gate()
atexit.register(_gate.close)


@tf.autograph.experimental.do_not_convert
def call_python(
    function: Callable[..., list], arguments: Sequence[Tensor], dtypes: Sequence[Any]
) -> list[Tensor]:
    """Call a Python function in a graph, as `tf.numpy_function` does.

    If it is called eagerly, the function runs at once and raises its own errors.

    Args:
        function: Function from NumPy arrays (bytes for a string) to a list of arrays.
        arguments: The tensors to pass to the function.
        dtypes: The dtypes of its results, as `tf.DType`s.

    Returns:
        A list of tensors, whose shapes are unknown in a graph. In a graph, an error of
        the function becomes a `tf.errors.InvalidArgumentError`, see `original_errors`.
    """
    if tf.executing_eagerly():
        values = function(*[tf.convert_to_tensor(value).numpy() for value in arguments])
        return [*map(tf.convert_to_tensor, values, dtypes)]

    def guarded(*values):
        try:
            with _gate:
                return *function(*values), b""
        except Exception as error:  # Every error is raised again in the graph.
            text = text_of(error).encode(errors="backslashreplace")
            return *map(_placeholder, dtypes), text

    *results, text = tf.numpy_function(guarded, arguments, [*dtypes, tf.string])
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(text, ""), [text])]):
        return [tf.identity(result) for result in results]


def _placeholder(dtype):
    return np.array(b"" if dtype == tf.string else 0, dtype.as_numpy_dtype)
