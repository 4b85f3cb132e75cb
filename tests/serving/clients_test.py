"""Both clients, the health check and the configuration of the server.

TF Serving cannot be installed where the tests run. tests/serving/server.py replaces it.
"""

import contextlib
import importlib
import json
import os
import pathlib
import socketserver
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.config import model_server_config_pb2

from keras_prelu import export
from tests.data.conftest import encoded, wavy_image
from tests.serving.server import serving

pytestmark = pytest.mark.tensorflow_only
FOLDER = pathlib.Path(__file__).parents[2] / "applications" / "serving"
NAMES = [f"kind {i}" for i in range(6)]


def imported(name):
    return importlib.import_module(f"applications.serving.{name}")


def exported(folder, **options):
    images = keras.Input((16, 16, 3))
    x = keras.layers.AveragePooling2D(8)(images / 255)
    scores = keras.layers.Dense(6, "softmax")(keras.layers.Flatten()(x))
    version = export.saved_model(keras.Model(images, scores), folder, **options)
    return tf.saved_model.load(version).signatures


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("net"), class_names=NAMES)


@pytest.fixture(scope="module")
def addresses(signatures):
    with serving(signatures) as (rest, rpc):
        yield {
            "client_rest": f"http://127.0.0.1:{rest}",
            "client_grpc": f"127.0.0.1:{rpc}",
        }


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.jpg").write_bytes(encoded(wavy_image(40, 50)))
    (folder / "b.png").write_bytes(encoded(wavy_image(30, 20, 1), "PNG"))
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("client", ["client_rest", "client_grpc"])
def test_a_client_returns_the_answer_of_the_signature(
    client, signatures, addresses, photos
):
    ask = imported(client).ask
    contents = [(photos / name).read_bytes() for name in ("a.jpg", "b.png")]
    answer = ask(addresses[client], "prelu", contents)
    expected = signatures["classify"](image_bytes=tf.constant(contents))
    names = expected["classes"].numpy().astype(str).tolist()
    assert [[name for name, _ in row] for row in answer] == names
    scores = [[score for _, score in row] for row in answer]
    np.testing.assert_allclose(scores, expected["scores"], rtol=1e-6)
    assert np.shape(scores) == (2, 5)


@pytest.mark.parametrize("client", ["client_rest", "client_grpc"])
@pytest.mark.parametrize(
    "model, name, message",
    [
        ("prelu", "broken.jpg", r"Cannot be decoded: rows\] \[0\]"),
        ("other", "a.jpg", "refuses .404|refuses .NOT_FOUND"),
    ],
)
def test_a_client_reports_the_reason_of_a_refusal(
    client, addresses, photos, model, name, message
):
    ask = imported(client).ask
    with pytest.raises(ValueError, match=message):
        ask(addresses[client], model, [(photos / name).read_bytes()])


def run(client, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"applications.serving.{client}", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


# Only one client, because the rest is the same code and importing gRPC is slow.
def test_a_client_prints_and_draws_the_five_best(
    signatures, addresses, photos, tmp_path
):
    output = tmp_path / "answer.png"
    paths = photos / "a.jpg", photos / "b.png"
    server = f"--server={addresses['client_rest']}"
    done = run("client_rest", *paths, server, f"--output={output}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [lines[0], lines[6]] == [str(path) for path in paths]
    contents = [path.read_bytes() for path in paths]
    best = signatures["classify"](image_bytes=tf.constant(contents))
    for shown, name, score in zip(
        lines[1:6], best["classes"][0].numpy(), best["scores"][0].numpy(), strict=True
    ):
        assert shown.split(maxsplit=1) == [f"{score:.2%}", name.decode()]
    with Image.open(output) as image:
        colors = image.convert("RGB").getcolors(2**24)
    assert image.size == (880, 572)
    assert len(colors) > 1000  # the figure contains the images


def test_a_client_says_which_images_the_model_has_marked(photos, tmp_path):
    names = ["$^{$", *NAMES[1:]]  # no formula
    signatures = exported(tmp_path / "net", class_names=names, on_error="mark")
    odd = tmp_path / os.fsdecode(b"caf\xe9 $_{$.jpg")
    odd.write_bytes((photos / "a.jpg").read_bytes())
    output = tmp_path / "answer.png"
    with serving(signatures) as (rest, _):
        server = f"--server=http://127.0.0.1:{rest}"
        done = run(
            "client_rest", photos / "broken.jpg", odd, server, f"--output={output}"
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(photos / "broken.jpg"), "  cannot be decoded"]
    assert lines[2] == rf"{tmp_path}/caf\xe9 $_{{$.jpg"
    shown = [line.split(maxsplit=1)[1] for line in lines[3:8]]
    assert len({*shown} & {*names}) == 5
    with Image.open(output) as image:
        assert image.size == (880, 572)


def test_many_images_are_printed_and_the_first_ones_are_drawn(
    addresses, photos, tmp_path
):
    output = tmp_path / "answer.png"
    images = [photos / "a.jpg", photos / "b.png"] * 12
    server = f"--server={addresses['client_rest']}"
    done = run("client_rest", *images, server, f"--output={output}")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert lines[::6] == [str(path) for path in images]
    assert last == f"Written to {output}: the first 20 of 24 images"
    with Image.open(output) as image:
        assert image.size == (880, 5720)


@contextlib.contextmanager
def sending(content, pause=0.0):
    """Send bytes to each client, with a pause after each byte."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1 << 16)
            with contextlib.suppress(OSError):
                for byte in content:
                    self.request.sendall(bytes([byte]))
                    time.sleep(pause)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def http_answer(body, status="200 OK", length=None):
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


ONE = json.dumps({"predictions": [{"classes": ["a"], "scores": [1.0]}]}).encode()


@pytest.mark.parametrize(
    "content, kind, message",
    [
        (http_answer(b"<html>Log in</html>"), ConnectionError, "it sends b'<html>Log"),
        (http_answer(ONE, length=1000), ConnectionError, "IncompleteRead"),
        (http_answer(ONE[:20]), ConnectionError, "it sends b'{"),
        (http_answer(b"[1]"), ConnectionError, "it sends b'.1.'"),
        (http_answer(ONE), ConnectionError, "it answers 1 of 2 images"),
        (b"", ConnectionError, "closed connection without response"),
        (b"SSH-2.0 hello\r\n", ConnectionError, "SSH-2.0"),
        (
            http_answer(b"<html>" + b"x" * 5000, "502 Bad Gateway"),
            ValueError,
            r"refuses \(502\): <html>x{194}$",
        ),
    ],
)
def test_invalid_answers_are_reported_in_one_line(content, kind, message):
    ask = imported("client_rest").ask
    with sending(content) as server, pytest.raises(kind, match=message) as raised:
        ask(server, "prelu", [b"one", b"two"])
    assert server in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    if kind is ConnectionError:
        assert "or start one with: MODEL=" in str(raised.value)


def test_a_server_that_sends_single_bytes_slowly_times_out(monkeypatch):
    client = imported("client_rest")
    monkeypatch.setattr(client.answers, "SECONDS", 0.5)
    start = time.monotonic()
    with (
        sending(http_answer(ONE), pause=0.1) as server,
        pytest.raises(ConnectionError, match="longer than 0.5 seconds.*or start one"),
    ):
        client.ask(server, "prelu", [b"one"])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("client", ["client_rest", "client_grpc"])
def test_without_a_server_the_error_names_address_and_command(client, monkeypatch):
    server = {"client_rest": "http://127.0.0.1:9", "client_grpc": "127.0.0.1:9"}[client]
    message = f"No predictions from {server}: .*or start one with: MODEL=.* compose"
    with pytest.raises(ConnectionError, match=message):
        imported(client).ask(server, "prelu", [b"one"])


@pytest.mark.parametrize("server", ["myhost", "localhost:8501", "ftp://myhost", ""])
def test_an_address_without_http_is_refused(server):
    message = rf"`--server` must be an address .* Received: --server={server}$"
    with pytest.raises(ValueError, match=message):
        imported("client_rest").ask(server, "prelu", [b"one"])


def test_the_readme_has_the_command_that_starts_a_server():
    answers = imported("answers")
    assert answers.START in (FOLDER / "README.md").read_text()


def test_a_client_fails_in_one_line(photos, tmp_path):
    output = f"--output={tmp_path / 'answer.png'}"
    done = run("client_rest", photos / "a.jpg", "--server=http://127.0.0.1:9", output)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No predictions from http://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["serving"]


def test_the_health_check_tests_the_model(addresses):
    kind, *command = compose()["healthcheck"]["test"]
    assert kind == "CMD"
    port = addresses["client_rest"].rpartition(":")[2]
    assert command[-1].count("8501") == 1
    command[-1] = command[-1].replace("8501", port)
    assert subprocess.run(command).returncode == 0
    other = [*command[:-1], command[-1].replace("/prelu", "/other")]
    assert subprocess.run(other).returncode != 0


def test_the_server_is_configured_for_the_clients():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((FOLDER / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert model.name == "prelu"
    service = compose()
    targets = [volume.split(":")[-2] for volume in service["volumes"]]
    assert targets == [model.base_path, service["command"].partition("=")[2]]
    assert [port.split(":")[-1] for port in service["ports"]] == ["8500", "8501"]
