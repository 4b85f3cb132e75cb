"""The part that both clients share: read images, ask a server, show its answer."""

import concurrent.futures
import os
import pathlib
import threading

import matplotlib
from absl import app, flags
from PIL import Image, ImageOps

from training import errors

matplotlib.use("Agg")  # draws to files, also without a screen
import matplotlib.pyplot as plt

SIGNATURE = "classify"
SECONDS = 30.0  # the deadline for a complete answer
UNREADABLE = "cannot be decoded"
MAX_DRAWN = 20  # more images would take minutes, and make a figure nobody can read
START = (
    "MODEL=$PWD/runs/served/prelu docker compose -f applications/serving/compose.yaml "
    "up --wait"
)


def within(seconds, function, *arguments):
    """Return the result of a function, or raise a TimeoutError after some seconds.

    The timeout of a socket applies to each read, so a server that sends a byte now and
    then could keep a client waiting for ever. After a timeout, the function's thread
    keeps running.
    """
    future = concurrent.futures.Future()

    def work():
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done():  # the function itself raised it
            raise
        raise TimeoutError(f"it took longer than {seconds:g} seconds") from error


def no_answer(server, reason):
    """Return the error for a server that does not answer with predictions."""
    return ConnectionError(
        f"No predictions from {server}: {_in_one_line(reason)}. Pass the address of a "
        f"running server with --server, or start one with: {START}"
    )


def refusal(server, code, message):
    """Return the error for a server that refuses a request."""
    return ValueError(f"The server {server} refuses ({code}): {_in_one_line(message)}")


def _in_one_line(text):
    return " ".join(str(text).split())


def unmarked(answers):
    """Return answers in which those for images that cannot be decoded are empty.

    A model that was exported with `on_error="mark"` names the class `""` for them.
    """
    return [answer if all(name for name, _ in answer) else [] for answer in answers]


def _printable(path):
    # As `keras_prelu.data` does, but the REST client works without Keras.
    return os.fsencode(path).decode(errors="backslashreplace")


def draw(paths, answers, output):
    """Draw each image with its best classes beside it.

    Args:
        paths: Paths of the images.
        answers: A list of `(class, score)` for each image, best first. It is empty for
            an image that cannot be decoded.
        output: Path of the figure to write.
    """
    rows = len(paths)
    figure, axes = plt.subplots(
        rows, 2, figsize=(8, 2.6 * rows), layout="constrained", squeeze=False
    )
    for (left, bars), path, answer in zip(axes, paths, answers, strict=True):
        left.axis("off")
        left.set_title(_printable(path.name), fontsize=9, parse_math=False)
        if answer:
            with Image.open(path) as image:
                left.imshow(ImageOps.exif_transpose(image).convert("RGB"))
        scores = [score for _, score in answer]
        texts = [f"{name}  {score:.1%}" for name, score in answer] or [UNREADABLE]
        bars.barh(range(len(scores)), scores, color="silver")
        for row, text in enumerate(texts):
            bars.text(0.02, row, text, va="center", fontsize=9, parse_math=False)
        bars.set(xlim=(0, 1), ylim=(len(texts) - 0.4, -0.6), xticks=[], yticks=[])
    figure.savefig(output, dpi=110)
    plt.close(figure)


def run(ask, server):
    """Run a client as a program.

    Args:
        ask: Function from the server's address, the model's name and a list of encoded
            images to a list of `(class, score)` for each image.
        server: The default address.
    """
    address = flags.DEFINE_string("server", server, "Address of the server.")
    model = flags.DEFINE_string("model", "prelu", "Name of the model on the server.")
    output = flags.DEFINE_string("output", "answer.png", "The figure to write.")

    def main(arguments):
        with errors.in_one_line():
            paths = [pathlib.Path(argument) for argument in arguments[1:]]
            if not paths:
                raise ValueError(
                    "At least one image must be given. Received: no images"
                )
            contents = [path.read_bytes() for path in paths]
            answers = unmarked(ask(address.value, model.value, contents))
            for path, answer in zip(paths, answers, strict=True):
                print(_printable(path))
                if not answer:
                    print(f"  {UNREADABLE}")
                for name, score in answer:
                    print(f"  {score:7.2%}  {name}")
            draw(paths[:MAX_DRAWN], answers[:MAX_DRAWN], output.value)
            is_part = len(paths) > MAX_DRAWN
            drawn = f": the first {MAX_DRAWN} of {len(paths)} images" if is_part else ""
            print(f"Written to {output.value}{drawn}")

    app.run(main)
