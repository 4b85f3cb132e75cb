"""What the programs need of each backend of Keras."""

import os

import keras

try:
    # On other backends it reads the images, if it is installed.
    import tensorflow as tf
except ModuleNotFoundError:
    tf = None

HAS_TENSORFLOW = tf is not None


def make_deterministic():
    """Let the same program compute the same bits in every process.

    Call it before the first operation: XLA reads its flags only once.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif backend == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true"
    elif backend == "torch":
        import torch

        # NVIDIA's library of matrix products is deterministic only with this.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def errors_of_tensorflow():
    """Return the types of the errors that TensorFlow's operations raise, a tuple."""
    is_backend = keras.backend.backend() == "tensorflow"
    return (tf.errors.OpError,) if is_backend else ()


def is_of_another_worker(error):
    """Return whether an error of TensorFlow can come from a worker that has gone.

    Others, such as a lack of memory, would come back if the run was started again.

    Args:
        error: A `tf.errors.OpError`.
    """
    return isinstance(
        error,
        (
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
            tf.errors.FailedPreconditionError,
            tf.errors.InternalError,
            tf.errors.UnavailableError,
            tf.errors.UnknownError,
        ),
    )
