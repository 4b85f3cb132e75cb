"""applications/serving: both clients, the health check and the server's configuration.

No model server can be installed where the tests run; tests/serving/server.py stands in.
"""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.config import model_server_config_pb2

from keras_prelu import export
from tests.data.conftest import encoded, picture
from tests.serving.server import serving

pytestmark = pytest.mark.tensorflow_only
FOLDER = pathlib.Path(__file__).parents[2] / "applications" / "serving"
NAMES = [f"kind {i}" for i in range(6)]
sys.path.insert(0, str(FOLDER))  # as Python does when it runs a client


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    images = keras.Input((16, 16, 3))
    x = keras.layers.AveragePooling2D(8)(images / 255)
    scores = keras.layers.Dense(6, "softmax")(keras.layers.Flatten()(x))
    model = keras.Model(images, scores)
    version = export.saved_model(model, tmp_path_factory.mktemp("net"), NAMES)
    return tf.saved_model.load(version).signatures


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
    (folder / "a.jpg").write_bytes(encoded(picture(40, 50)))
    (folder / "b.png").write_bytes(encoded(picture(30, 20, 1), "PNG"))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("client", ["client_rest", "client_grpc"])
def test_a_client_gets_what_the_signature_answers(
    client, signatures, addresses, photos
):
    ask = __import__(client).ask
    contents = [(photos / name).read_bytes() for name in ("a.jpg", "b.png")]
    found = ask(addresses[client], "prelu", contents)
    expected = signatures["classify"](image_bytes=tf.constant(contents))
    names = expected["classes"].numpy().astype(str).tolist()
    assert [[name for name, _ in row] for row in found] == names
    scores = [[score for _, score in row] for row in found]
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
def test_a_client_says_what_the_server_refuses(
    client, addresses, photos, model, name, message
):
    ask = __import__(client).ask
    with pytest.raises(ValueError, match=message):
        ask(addresses[client], model, [(photos / name).read_bytes()])


def run(client, *arguments):
    return subprocess.run(
        [sys.executable, FOLDER / f"{client}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


# One client: all but the asking is the same for both, and gRPC's imports take long.
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
    assert len(colors) > 1000  # the pictures are in it


def test_a_client_fails_in_one_line(photos, tmp_path):
    output = f"--output={tmp_path / 'answer.png'}"
    done = run("client_rest", photos / "a.jpg", "--server=http://127.0.0.1:9", output)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["serving"]


def test_the_health_check_asks_for_the_model(addresses):
    kind, *command = compose()["healthcheck"]["test"]
    assert kind == "CMD"
    port = addresses["client_rest"].rpartition(":")[2]
    assert command[-1].count("8501") == 1
    command[-1] = command[-1].replace("8501", port)
    assert subprocess.run(command).returncode == 0
    other = [*command[:-1], command[-1].replace("/prelu", "/other")]
    assert subprocess.run(other).returncode != 0


def test_the_server_is_configured_for_what_the_clients_ask():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((FOLDER / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert model.name == "prelu"
    service = compose()
    targets = [volume.split(":")[-2] for volume in service["volumes"]]
    assert targets == [model.base_path, service["command"].partition("=")[2]]
    assert [port.split(":")[-1] for port in service["ports"]] == ["8500", "8501"]
