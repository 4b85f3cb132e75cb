"""The server of the page: its headers, and that it gives away nothing else."""

import http.client
import os
import threading

import pytest

from applications.browser.server import page_server


@pytest.fixture
def ask(tmp_path):
    """Return a function from a request's path to the answer of a running server."""
    page = tmp_path / "page"
    (page / "runtime").mkdir(parents=True)
    (page / "index.html").write_text("the page")
    (page / "runtime" / "ort.mjs").write_text("export {}")
    (page / "net.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    (page / "up").symlink_to(tmp_path)
    with page_server(page, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert server.server_address[0] == "127.0.0.1"

        def get(path):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

        yield get
        server.shutdown()
        thread.join()


def test_files_have_the_types_and_headers_that_threads_need(ask):
    for path, kind in (
        ("/", "text/html"),
        ("/runtime/ort.mjs", "text/javascript"),
        ("/net.wasm", "application/wasm"),
    ):
        status, headers, content = ask(path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert content


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/runtime/../../secret.txt",
        "/..%2fsecret.txt",
        "//secret.txt",
        "/link.txt",
        "/up/secret.txt",
        "/no_such_file",
        "/runtime/",  # a list of files
    ],
)
def test_nothing_else_is_answered(ask, path):
    status, _, content = ask(path)
    assert status == 404
    assert b"secret" not in content
    assert b"ort.mjs" not in content


def test_a_port_in_use_is_an_error(tmp_path):
    with page_server(tmp_path, 0) as server:
        port = server.server_port
        reason = os.strerror(98)
        with pytest.raises(ValueError, match=f"{reason}.*Received: --port={port}"):
            page_server(tmp_path, port)


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.parametrize("name", ["workdir", "build"])
def test_an_empty_folder_is_refused(name, python, tmp_path):
    """An empty value is often a shell variable that is not set."""
    flags = {"build": str(tmp_path / "page"), "workdir": str(tmp_path), name: ""}
    done = python(
        *("-m", "applications.browser.serve", "--noopen"),
        *(f"--{flag}={value}" for flag, value in flags.items()),
    )
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert f"Argument `--{name}` must be a path. Received: --{name}= (" in line
    assert list(tmp_path.iterdir()) == []
