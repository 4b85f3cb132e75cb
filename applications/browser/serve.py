"""Show a network at work in the browser.

    python -m applications.browser.serve [--workdir=DIR] [--port=8000]
    python -m applications.browser.serve [--workdir=DIR] --build=DIR

Builds the page and serves it to this machine only, until it is stopped by Ctrl+C. It
shows the network of the quickstart or, with `--workdir`, of a finished run. With
`--build` it writes the page into a new folder, for any web server. Exit codes: 0 for
success, 2 for an error in the arguments or in the run.
"""

import pathlib
import sys
import tempfile
import webbrowser

if not __package__:
    sys.exit("error: start this program by `python -m applications.browser.serve`")

from absl import app, flags

from training import console, errors

with console.quiet_import():
    import keras  # noqa: F401 (imports TensorFlow)

from applications.browser import build
from applications.browser.server import ADDRESS, page_server
from keras_prelu.files import appear, filling
from training.workdir import refuse_empty

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a finished run.")
_PORT = flags.DEFINE_integer("port", 8000, "Port of the page.", 0, 65535)
_BUILD = flags.DEFINE_string("build", None, "Only write the page into this new folder.")
_OPEN = flags.DEFINE_bool("open", True, "Whether to open the page in a browser.")


def _shown():
    if _WORKDIR.value:
        return build.of_run(pathlib.Path(_WORKDIR.value))
    return build.quickstart()


def _write(folder):
    """Write the page into a folder that does not exist, or is empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"Argument `--build` must be a new folder. Received: --build={folder}"
        )
    with filling(folder.parent) as partial:
        build.build(partial, _shown())
        appear(partial, folder)
    print(f"Page: {folder}")


def _serve(folder):
    """Build the page in an empty folder, and serve it until Ctrl+C."""
    with page_server(folder, _PORT.value) as server:
        build.build(folder, _shown())
        address = f"http://{ADDRESS}:{server.server_port}/"
        print(f"The page is at {address} (Ctrl+C stops it)", flush=True)
        if _OPEN.value:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main(_):
    """Write or serve the page."""
    with errors.in_one_line():
        refuse_empty("--workdir", _WORKDIR.value)
        refuse_empty("--build", _BUILD.value)
        if _BUILD.value:
            _write(pathlib.Path(_BUILD.value))
        else:
            with tempfile.TemporaryDirectory() as folder:
                _serve(pathlib.Path(folder))


if __name__ == "__main__":
    app.run(main)
