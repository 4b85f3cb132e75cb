"""Classify images with TF Serving over gRPC, using tensorflow-serving-api.

    python -m applications.serving.client_grpc photo.jpg [another.png ...] \\
        [--server=localhost:8500] [--model=prelu] [--output=answer.png]

Prints the best classes of each image, and draws them beside it, for the first 20
images.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from applications.serving import answers

_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def ask(server, model, contents):
    """Return the best classes of images.

    Args:
        server: Address of the server, `host:port`.
        model: Name of the model.
        contents: A list of encoded images.

    Returns:
        A list of `(class, score)` for each image, best first.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = answers.SIGNATURE
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(contents))
    try:
        with grpc.insecure_channel(server) as channel:
            service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            outputs = service.Predict(request, timeout=answers.SECONDS).outputs
    except grpc.RpcError as error:
        if error.code() in _NO_ANSWER:
            raise answers.no_answer(server, error.details()) from error
        raise answers.refusal(server, error.code().name, error.details()) from error
    classes, scores = (tf.make_ndarray(outputs[key]) for key in ("classes", "scores"))
    return [
        [(name.decode(), float(score)) for name, score in zip(*row, strict=True)]
        for row in zip(classes, scores, strict=True)
    ]


if __name__ == "__main__":
    answers.run(ask, "localhost:8500")
