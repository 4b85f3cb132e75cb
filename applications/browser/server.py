"""A web server for one folder, on this machine only."""

import functools
import http.server
import os
import pathlib

__all__ = ["ADDRESS", "page_server"]

ADDRESS = "127.0.0.1"
HEADERS = {
    # A page uses several threads only if no other site can share its process.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Answers requests for the files of a folder, and for nothing else."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self):
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def send_head(self):
        # The base class removes `..` from paths, but follows links out of the folder.
        path = pathlib.Path(self.translate_path(self.path)).resolve()
        if not path.is_relative_to(self.directory):
            self.send_error(404)
            return None
        return super().send_head()

    def list_directory(self, path):
        self.send_error(404)

    def log_message(self, format, *arguments):
        """Print nothing."""


def page_server(folder: pathlib.Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of a folder's files; call its `serve_forever`.

    Args:
        folder: The folder.
        port: The port, or 0 for a free one.
    """
    handler = functools.partial(_Handler, directory=os.path.realpath(folder))
    try:
        return http.server.ThreadingHTTPServer((ADDRESS, port), handler)
    except OSError as error:
        raise ValueError(
            f"Argument `--port` must be a free port ({error.strerror}). "
            f"Received: --port={port}"
        ) from error
