"""What both clients do: read images, ask a server, print and draw its answer."""

import concurrent.futures
import pathlib
import threading

import matplotlib
from absl import app, flags
from PIL import Image, ImageOps

from training import errors

matplotlib.use("Agg")  # a file only; there may be no screen
import matplotlib.pyplot as plt

SIGNATURE = "classify"
SECONDS = 30.0  # that a server may take, from the first byte to the last
START = (
    "MODEL=$PWD/served/prelu docker compose -f applications/serving/compose.yaml up "
    "--wait"
)


def within(seconds, function, *arguments):
    """Returns what a function returns, or raises a TimeoutError after some seconds.

    The timeouts of sockets are those of a single read: a server that sends a byte now
    and then could keep a client for ever. The function's thread is left behind.
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
        if future.done():  # a timeout of the function's own
            raise
        raise TimeoutError(f"it took longer than {seconds:g} seconds") from error


def no_answer(server, reason):
    """Returns the error for a server that gives no predictions."""
    return ConnectionError(
        f"No predictions from {server}: {_in_one_line(reason)}. "
        f"Start a server with: {START}"
    )


def refusal(server, code, message):
    """Returns the error for a server that says why it gives none."""
    return ValueError(f"The server {server} refuses ({code}): {_in_one_line(message)}")


def _in_one_line(text):
    return " ".join(str(text).split())


def draw(paths, answers, output):
    """Draws each image with its best classes beside it.

    Args:
        paths: Paths of the images.
        answers: For each a list of `(class, score)`, best first.
        output: Path of the drawing to write.
    """
    rows = len(paths)
    figure, axes = plt.subplots(
        rows, 2, figsize=(8, 2.6 * rows), layout="constrained", squeeze=False
    )
    for (picture, bars), path, answer in zip(axes, paths, answers, strict=True):
        picture.axis("off")
        picture.set_title(path.name, fontsize=9)
        with Image.open(path) as image:
            picture.imshow(ImageOps.exif_transpose(image).convert("RGB"))
        places = range(len(answer))
        bars.barh(places, [score for _, score in answer], color="silver")
        for place, (name, score) in zip(places, answer, strict=True):
            bars.text(0.02, place, f"{name}  {score:.1%}", va="center", fontsize=9)
        bars.set(xlim=(0, 1), ylim=(len(answer) - 0.4, -0.6), xticks=[], yticks=[])
    figure.savefig(output, dpi=110)
    plt.close(figure)


def run(ask, server):
    """Runs a client as a program.

    Args:
        ask: Function from the server's address, the model's name and the bytes of
            images to a list of `(class, score)` for each.
        server: The address by default.
    """
    address = flags.DEFINE_string("server", server, "Address of the server.")
    model = flags.DEFINE_string("model", "prelu", "Name of the model there.")
    output = flags.DEFINE_string("output", "answer.png", "The drawing to write.")

    def main(arguments):
        with errors.in_one_line():
            paths = [pathlib.Path(argument) for argument in arguments[1:]]
            if not paths:
                raise ValueError("Images must be given. Received: none")
            contents = [path.read_bytes() for path in paths]
            answers = ask(address.value, model.value, contents)
            for path, answer in zip(paths, answers, strict=True):
                print(path)
                for name, score in answer:
                    print(f"  {score:7.2%}  {name}")
            draw(paths, answers, output.value)
            print(f"Written to {output.value}")

    app.run(main)
