"""A replacement of TF Serving for tests: a SavedModel behind its two protocols.

REST follows https://www.tensorflow.org/tfx/serving/api_rest as far as the clients use
it. gRPC uses the official protos.
"""

import base64
import contextlib
import http.server
import json
import threading
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = "prelu"


def _answer(signatures, name, inputs):
    """Return the outputs of a signature as arrays, or raise a ValueError."""
    try:
        outputs = signatures[name](**inputs)
    except (KeyError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(str(error)) from error
    return {key: value.numpy() for key, value in outputs.items()}


def _decoded(value):
    """Return a JSON value in which base64 objects are replaced by their bytes."""
    if isinstance(value, dict):
        return base64.b64decode(value["b64"], validate=True)
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _rest(signatures):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def reply(self, code, content):
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):  # noqa: N802
            if self.path != f"/v1/models/{MODEL}":
                return self.reply(404, {"error": f"no such model: {self.path}"})
            status = {"error_code": "OK", "error_message": ""}
            version = {"version": "1", "state": "AVAILABLE", "status": status}
            return self.reply(200, {"model_version_status": [version]})

        def do_POST(self):  # noqa: N802
            if self.path != f"/v1/models/{MODEL}:predict":
                return self.reply(404, {"error": f"no such model: {self.path}"})
            size = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(size))
            name = request.get("signature_name", "serving_default")
            (argument,) = signatures[name].structured_input_signature[1]
            # "instances" without names are values of the only input.
            inputs = {argument: tf.constant(_decoded(request["instances"]))}
            try:
                outputs = _answer(signatures, name, inputs)
            except ValueError as error:
                return self.reply(400, {"error": str(error)})
            rows = [
                {
                    key: [x.decode() if isinstance(x, bytes) else x for x in row]
                    for key, row in zip(outputs, values, strict=True)
                }
                for values in zip(*(o.tolist() for o in outputs.values()), strict=True)
            ]
            return self.reply(200, {"predictions": rows})

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, signatures):
        self._signatures = signatures

    def Predict(self, request, context):  # noqa: N802
        if request.model_spec.name != MODEL:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
        inputs = {
            name: tf.constant(tf.make_ndarray(value))
            for name, value in request.inputs.items()
        }
        name = request.model_spec.signature_name or "serving_default"
        try:
            outputs = _answer(self._signatures, name, inputs)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response


@contextlib.contextmanager
def serving(signatures):
    """Serve the signatures of a SavedModel, and yield the ports of REST and gRPC."""
    rest = _rest(signatures)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    rpc = grpc.server(futures.ThreadPoolExecutor(2))
    service = _Service(signatures)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        yield rest.server_port, port
    finally:
        rpc.stop(None).wait()
        rest.shutdown()
        rest.server_close()
        thread.join()
