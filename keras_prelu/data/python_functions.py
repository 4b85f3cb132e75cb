"""Python functions in the graphs of tf.data: all of the package's are called from here.

Two things are done for them. An error comes out as one line: TensorFlow would log the
traceback of each, even where the pipeline knows how to go on. And none runs when the
interpreter shuts down: a thread of TensorFlow can then no longer run Python, a pipeline
that is deleted waits for its threads, and the process would never end.
"""

import atexit
import threading
import time

import numpy as np
import tensorflow as tf

from keras_prelu.data.errors import text_of


class Gate:
    """Counts the functions that run, and lets none in once it is closed.

    Attributes:
        quiet: Seconds for which nothing may have run before `close` returns.
        patience: Seconds after which `close` returns in any case.
    """

    quiet, patience = 0.1, 10.0

    def __init__(self):
        self._lock = threading.Lock()
        self._closed = False
        self._running = 0
        self._came = 0

    def __enter__(self):
        with self._lock:
            self._came += 1
            if self._closed:
                raise RuntimeError("The interpreter is shutting down.")
            self._running += 1

    def __exit__(self, *_):
        with self._lock:
            self._running -= 1

    def close(self):
        """Makes new functions fail at once, and waits until none comes any more."""
        with self._lock:
            self._closed = True
        end = time.monotonic() + self.patience
        while self._came and time.monotonic() < end:
            came, busy = self._came, time.process_time()
            time.sleep(self.quiet)
            # A thread that still decodes, in C++, may call a function afterwards.
            busy = time.process_time() - busy
            if not self._running and self._came == came and busy < self.quiet / 2:
                return


_gate = Gate()
atexit.register(_gate.close)


@tf.autograph.experimental.do_not_convert
def call_python(function, arguments, dtypes):
    """Calls a Python function in a graph, as `tf.numpy_function` does.

    Called eagerly, it runs the function at once, and errors are the function's own.

    Args:
        function: Function from NumPy arrays (bytes for a string) to a list of arrays.
        arguments: Tensors.
        dtypes: The dtypes of what it returns.

    Returns:
        A list of tensors, of unknown shape in a graph. In a graph, an error of the
        function is a `tf.errors.InvalidArgumentError`; see `original_errors`.
    """
    if tf.executing_eagerly():
        values = function(*[tf.convert_to_tensor(value).numpy() for value in arguments])
        return [*map(tf.convert_to_tensor, values, dtypes)]

    def guarded(*values):
        try:
            with _gate:
                return *function(*values), b""
        except Exception as error:  # Whatever it is, it is raised again in the graph.
            text = text_of(error).encode(errors="backslashreplace")
            return *map(_placeholder, dtypes), text

    *results, text = tf.numpy_function(guarded, arguments, [*dtypes, tf.string])
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(text, ""), [text])]):
        return [tf.identity(result) for result in results]


def _placeholder(dtype):
    return np.array(b"" if dtype == tf.string else 0, dtype.as_numpy_dtype)
