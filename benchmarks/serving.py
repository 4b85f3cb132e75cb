"""Speed of a net in Keras, as a SavedModel, in ONNX Runtime and in LiteRT.

    python benchmarks/serving.py [--width=1.0] [--size=224] [--rounds=9]

Runs Model A in float32, from images to scores, with batches of 1 and 16. Prints
milliseconds per batch, images per second, and the time relative to `model.predict`. All
are timed in turn in one run, each with all cores; the results are medians. They do not
include the server's protocol and the decoding of images.
"""

import functools
import os
import pathlib
import tempfile

from _measure import interleaved, machine, print_table
from absl import app, flags

WIDTH = flags.DEFINE_float("width", 1.0, "Width of the net.")
SIZE = flags.DEFINE_integer("size", 224, "Height and width of the images.")
ROUNDS = flags.DEFINE_integer("rounds", 9, "Number of timings of each way.")
BATCHES = (1, 16)


def runners(model, folder):
    """Return a dict from names to functions from a batch of images to scores."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    import keras_prelu

    version = keras_prelu.export.saved_model(model, folder / "saved_model")
    keras_prelu.export.onnx(model, folder / "net.onnx")
    keras_prelu.export.litert(model, folder / "net.tflite")

    served = tf.saved_model.load(version).signatures["serving_default"]
    session = onnxruntime.InferenceSession(folder / "net.onnx")
    interpreters = {}

    def litert(images):
        # One interpreter per batch size, because each allocates tensors for one size.
        if len(images) not in interpreters:
            interpreter = Interpreter(
                str(folder / "net.tflite"), num_threads=os.cpu_count()
            )
            interpreter.resize_tensor_input(0, images.shape)
            interpreter.allocate_tensors()
            interpreters[len(images)] = interpreter
        interpreter = interpreters[len(images)]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return {
        "model.predict": lambda images: model.predict(
            images, batch_size=len(images), verbose=0
        ),
        "SavedModel": lambda images: served(images=images)["scores"].numpy(),
        "ONNX Runtime": lambda images: session.run(["scores"], {"images": images})[0],
        "LiteRT": litert,
    }


def main(_):
    import numpy as np

    import keras_prelu

    size = SIZE.value
    model = keras_prelu.applications.ModelA(
        width=WIDTH.value, input_shape=(size, size, 3)
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ways = runners(model, pathlib.Path(folder))
        for batch in BATCHES:
            images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3))
            images = images.astype("float32")
            functions = {
                name: functools.partial(way, images) for name, way in ways.items()
            }
            seconds = interleaved(functions, ROUNDS.value, warmup=2)
            for name, time in seconds.items():
                rows.append(
                    (
                        batch,
                        name,
                        f"{1000 * time:.1f}",
                        f"{batch / time:.1f}",
                        f"{time / seconds['model.predict']:.2f}",
                    )
                )
    print(machine())
    print(f"Model A, width {WIDTH.value}, float32, {size}x{size}")
    print_table(
        ("batch", "way", "ms per batch", "images/s", "time / model.predict's"), rows
    )


if __name__ == "__main__":
    app.run(main)
