"""The files of a version for TF Serving: graph, labels, card and warm-up requests."""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from keras_prelu.export import cards, versions
from keras_prelu.files import filling
from keras_prelu.on_use import require
from keras_prelu.types import Tensor

__all__ = ["labels", "write"]

_WARM_UP_FILE = "tf_serving_warmup_requests"  # the name that TF Serving looks for


@contextlib.contextmanager
def labels(names: Sequence[str]) -> Iterator[pathlib.Path]:
    """Give the path of a temporary file of class names, one per line.

    Args:
        names: The names.

    Yields:
        The path. A SavedModel that uses the file gets a copy when it is written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        path = pathlib.Path(temporary, "labels.txt")
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        yield path


def write(
    served: tf.Module,
    path: pathlib.Path,
    version: int | None,
    examples: Mapping[str, Mapping[str, Tensor]],
    describe: Callable[..., dict[str, Any]],
) -> pathlib.Path:
    """Write a version, which appears complete or not at all.

    Args:
        served: A module whose attribute `functions` is a dict from the names of the
            signatures to concrete functions.
        path: Folder of the versions. It is made if it does not exist.
        version: Number of the version. `None` for the one after the last.
        examples: The inputs of one request per signature, by name.
        describe: Function from `size`, the bytes of all files, and further facts about
            the export to the model card.

    Returns:
        The folder of the version.
    """
    path.mkdir(parents=True, exist_ok=True)
    with filling(path) as aside:
        # Gradients would make the graph larger, and nobody trains it.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(served, str(aside), served.functions, options)
        extra = aside / "assets.extra"
        extra.mkdir()
        has_warm_up = _write_warm_up(extra / _WARM_UP_FILE, path.name, examples)
        card = describe(
            size=sum(x.stat().st_size for x in aside.rglob("*") if x.is_file()),
            format="TensorFlow SavedModel",
            warm_up="one request per signature" if has_warm_up else "missing",
            signatures=list(served.functions),
        )
        cards.write(card, extra / "model_card")
        return versions.publish(aside, path, version)


def _protos():
    """Return the modules of the warm-up requests, or raise an ImportError."""
    apis = "tensorflow_serving.apis"
    return require("serving", f"{apis}.predict_pb2", f"{apis}.prediction_log_pb2")


def _write_warm_up(path, name, examples):
    """Write one request per signature, which the server answers while it loads.

    Without tensorflow-serving-api, log a warning and write nothing: only the server's
    first answers are slower then.

    Args:
        path: Path of the file to write.
        name: Name of the model.
        examples: The inputs of one request per signature, by name.

    Returns:
        Whether the file was written.
    """
    try:
        predict, logs = _protos()
    except ImportError as error:
        logging.warning("%s is written without warm-up requests. %s", name, error)
        return False
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in examples.items():
            request = predict.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = logs.PredictionLog(predict_log=logs.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return True
