"""Requests that TF Serving answers to itself while it loads a model."""

import tensorflow as tf
from absl import logging

from keras_prelu.export.extras import require

FILE = "tf_serving_warmup_requests"
APIS = "tensorflow_serving.apis"


def protos():
    """Returns the modules of the requests, or says how to install them."""
    return require("serving", f"{APIS}.predict_pb2", f"{APIS}.prediction_log_pb2")


def write(path, name, signatures, side):
    """Writes one request for each signature, if the server's protos are installed.

    Without them a warning says what is missing: the server then answers its first
    requests late, and nothing else is different.

    Args:
        path: Path of the file to write.
        name: Name of the model.
        signatures: Concrete functions of one argument each, by name.
        side: Side of the image to ask about.

    Returns:
        Whether the file was written.
    """
    try:
        predict, logs = protos()
    except ImportError as error:
        logging.warning("%s is written without requests to warm up. %s", name, error)
        return False
    grey = tf.fill([side, side, 3], tf.constant(128, tf.uint8))
    encoded = tf.io.encode_jpeg(grey)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, function in signatures.items():
            (spec,), _ = function.structured_input_signature
            image = encoded if spec.dtype == tf.string else tf.cast(grey, spec.dtype)
            request = predict.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(image[None]))
            log = logs.PredictionLog(predict_log=logs.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return True
