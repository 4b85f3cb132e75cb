"""Weights that fit are loaded exactly; others raise an error that names the layer."""

import contextlib
import functools
import hashlib
import http.server
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_prelu
from keras_prelu.applications import ModelA, ModelB, downloads, nets, weights

SMALL = {"width": 1 / 32, "classes": 5, "input_shape": (32, 32, 3)}
small_a = functools.partial(ModelA, **SMALL)


def values(model):
    return {
        f"{layer.name}/{i}": ops.convert_to_numpy(weight)
        for layer in model.layers
        for i, weight in enumerate(layer.weights)
    }


def assert_equal_except(model, other, layers=()):
    actual, expected = values(model), values(other)
    for name in actual:
        if name.split("/")[0] not in layers:
            np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


@pytest.fixture(params=[".weights.h5", ".keras"])
def trained(request, tmp_path):
    """Return a model with values other than the initial ones, and its file."""
    model = small_a(name="anything")
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    path = tmp_path / f"model{request.param}"
    if request.param == ".keras":
        model.compile("sgd", "mse")
        model.save(path)
    else:
        model.save_weights(path)
    return model, path


def test_weights_load_into_models_of_any_name(trained):
    model, path = trained
    for name in ("one", "two"):
        assert_equal_except(small_a(weights=str(path), name=name), model)


def test_another_number_of_classes_only_changes_the_head(trained, caplog):
    model, path = trained
    with caplog.at_level(logging.WARNING):
        other = small_a(weights=path, **{**SMALL, "classes": 7})
    assert_equal_except(other, model, layers={"fc3"})
    kernel = ops.convert_to_numpy(other.get_layer("fc3").kernel)
    assert kernel.shape[1] == 7
    assert kernel.std() == pytest.approx(0.01, rel=0.2)
    assert "has 5 classes, the model 7: fc3 is new" in caplog.text


def test_loading_logs_the_number_of_layers(trained, caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        small_a(weights=trained[1])
    # 16 convolutions, 3 fully connected layers, their 18 rectifiers and the mean.
    assert f"Loaded 38 layers from {trained[1]}" in caplog.text


def test_models_without_a_top_load_the_other_layers(trained):
    model, path = trained
    assert_equal_except(small_a(weights=path, include_top=False, pooling="avg"), model)


def test_models_without_preprocessing_load_the_other_layers(trained):
    model, path = trained
    assert_equal_except(small_a(weights=path, include_preprocessing=False), model)


def test_a_mean_image_is_loaded_from_the_file(tmp_path):
    model = small_a(include_preprocessing=False)
    inputs = keras.Input((32, 32, 3))
    mean = np.random.default_rng(0).uniform(0, 255, (32, 32, 3)).astype("float32")
    x = keras_prelu.layers.SubtractMean(mean, name="mean")(inputs)
    for layer in model.layers[1:]:
        x = layer(x)
    keras.Model(inputs, x).save_weights(tmp_path / "image.weights.h5")
    loaded = small_a(weights=tmp_path / "image.weights.h5")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded.get_layer("mean").mean), mean
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (functools.partial(ModelB, **SMALL), "conv2_6: .* the file lacks it"),
        (functools.partial(small_a, width=1 / 16), r"conv1: the model has \[\(7, 7,"),
        (functools.partial(small_a, activation="relu"), "prelu1: the model has no"),
        (functools.partial(small_a, activation="prelu_shared"), r"prelu1.*\(1,\)"),
    ],
)
def test_weights_for_another_net_raise_an_error_before_anything_is_built(
    trained, build, message, monkeypatch
):
    def built(*arguments):
        raise AssertionError("a variable was given a value")

    monkeypatch.setattr(keras.Variable, "_initialize", built)
    with pytest.raises(ValueError, match=f"{message}.*Received: weights="):
        build(weights=trained[1])


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize(
    ("saved", "wanted", "layer"),
    [("relu", "leaky_relu", "relu1"), ("leaky_relu", "relu", "leaky_relu1")],
)
def test_activations_without_weights_are_told_apart(
    saved, wanted, layer, suffix, tmp_path
):
    path = tmp_path / f"net{suffix}"
    model = small_a(activation=saved)
    model.save(path) if suffix == ".keras" else model.save_weights(path)
    assert_equal_except(small_a(weights=path, activation=saved), model)
    with pytest.raises(ValueError, match=f"{layer}: the model has no such layer"):
        small_a(weights=path, activation=wanted)


def test_weights_without_a_top_do_not_fit_a_model_with_one(tmp_path):
    path = tmp_path / "notop.weights.h5"
    small_a(include_top=False).save_weights(path)
    with pytest.raises(ValueError, match="fc1: .* the file lacks it"):
        small_a(weights=path)


def test_a_file_without_matching_layers_raises_an_error(tmp_path):
    path = tmp_path / "empty.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]).save_weights(path)
    with pytest.raises(ValueError, match="for the same network"):
        small_a(weights=path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("page.weights.h5", b"\n <!DOCTYPE html><html>", "an HTML page"),
        ("page.keras", b"<html>", "an HTML page"),
        ("noise.weights.h5", bytes(range(100)), "not an HDF5 file"),
        ("empty.weights.h5", b"", "not an HDF5 file"),
    ],
)
def test_files_of_another_format_raise_an_error(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{what}.*Received: weights=.*{name}"):
        small_a(weights=path)


def test_truncated_files_raise_an_error(trained):
    path = trained[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="truncated.*Received: weights="):
        small_a(weights=path)


def test_other_suffixes_raise_an_error(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"\.weights\.h5 or \.keras\. Received"):
        small_a(weights=path)


def test_the_error_for_former_models_with_64_filters_explains_itself(
    tmp_path, monkeypatch
):
    stages = nets.NETS["model_a"].stages
    former = nets.Net((stages[0]._replace(filters=64), *stages[1:]))
    with monkeypatch.context() as patch:
        patch.setitem(nets.NETS, "model_a", former)
        small_a().save_weights(tmp_path / "former.weights.h5")
    with pytest.raises(ValueError, match="64 filters .* the paper has 96.*Received"):
        small_a(weights=tmp_path / "former.weights.h5")
    small_a(width=1 / 16).save_weights(tmp_path / "wider.weights.h5")
    with pytest.raises(ValueError, match="the same network, width") as error:
        small_a(weights=tmp_path / "wider.weights.h5")
    assert "64 filters" not in str(error.value)


def test_imagenet_weights_do_not_exist():
    with pytest.raises(ValueError, match="No ImageNet weights.*training/recipes"):
        small_a(weights="imagenet")


@pytest.fixture
def registered(trained, monkeypatch):
    """Register the trained model as 'tiny'."""
    entry = {
        "net": "model_a",
        "arguments": {"width": 1 / 32, "activation": "prelu"},
        "url": trained[1].as_uri(),
        "sha256": downloads.sha256_of(trained[1]),
        "input_size": 32,
        "class_names": list("abcde"),
        "mean": [0.0, 0.0, 0.0],
    }
    monkeypatch.setattr(weights, "registry", lambda: {"tiny": entry})
    return trained[0], entry


def test_registered_weights_provide_omitted_arguments(registered, cache):
    model = ModelA(weights="tiny")
    assert_equal_except(model, registered[0])
    assert model.input_shape == (None, 32, 32, 3)
    assert_equal_except(ModelA(True, "tiny", activation="prelu"), registered[0])
    assert_equal_except(small_a(weights="tiny"), registered[0])
    assert_equal_except(ModelA(weights=Path("tiny")), registered[0])


def test_given_arguments_win_or_raise_an_error(registered, cache):
    other = ModelA(weights="tiny", classes=3, input_shape=(48, 40, 3))
    assert_equal_except(other, registered[0], layers=["fc3"])
    assert (other.input_shape, other.output_shape) == ((None, 48, 40, 3), (None, 3))
    images = keras.Input((40, 40, 3))
    assert ModelA(weights="tiny", input_tensor=images).input_shape[1] == 40
    trunk = ModelA(weights="tiny", include_top=False)
    assert trunk.input_shape == (None, None, None, 3)
    with pytest.raises(
        ValueError,
        match="be for the net 'model_b'.*'tiny', which are for the net 'model_a'",
    ):
        ModelB(weights="tiny")
    message = "`width` must be 0.03125, or be left out.*'tiny'. Received: width=1.0"
    with pytest.raises(ValueError, match=message):
        ModelA(weights="tiny", width=1.0)  # equals the default, but was given
    message = "`activation` must be 'prelu', or be left out.*Received: activation="
    with pytest.raises(ValueError, match=message):
        ModelA(weights="tiny", activation="relu")
    with pytest.raises(ValueError, match=r"registered name \('tiny'\)"):
        ModelA(weights="tinny")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models" / "keras_prelu"


@pytest.fixture
def server(tmp_path):
    """Serve the files of `tmp_path`; yield the address and the list of requests."""
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *arguments):
            requests.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", requests
        httpd.shutdown()


def test_urls_are_downloaded_once(trained, server, cache):
    model, path = trained
    address, requests = server
    url = f"{address}/{path.name}#sha256={downloads.sha256_of(path)}"
    for _ in range(2):
        assert_equal_except(small_a(weights=url), model)
    assert len(requests) == 1
    assert [p.name for p in cache.iterdir()] == [
        f"{downloads.sha256_of(path)[:16]}-{path.name}"
    ]


def test_a_damaged_file_in_the_cache_is_downloaded_again(trained, server, cache):
    model, path = trained
    url = f"{server[0]}/{path.name}#sha256={downloads.sha256_of(path)}"
    small_a(weights=url)
    cached = next(cache.iterdir())
    cached.write_bytes(b"torn")
    assert_equal_except(small_a(weights=url), model)


def test_a_wrong_hash_leaves_no_file(trained, server, cache):
    url = f"{server[0]}/{trained[1].name}#sha256={'0' * 64}"
    with pytest.raises(ValueError, match=f"sha256={'0' * 64}. Received: sha256="):
        small_a(weights=url)
    assert list(cache.iterdir()) == []


def test_the_error_says_if_the_download_is_an_html_page(tmp_path, server, cache):
    (tmp_path / "page.weights.h5").write_text("<html>Please log in</html>")
    with pytest.raises(ValueError, match="an HTML page"):
        small_a(weights=f"{server[0]}/page.weights.h5#sha256={'0' * 64}")


def test_urls_need_a_hash():
    with pytest.raises(ValueError, match="#sha256=.*Received: weights='https"):
        small_a(weights="https://host/a.weights.h5")


def test_the_error_without_a_network_says_where_to_copy_the_file(cache):
    sha256 = hashlib.sha256(b"").hexdigest()
    url = "http://127.0.0.1:9/a.weights.h5"
    with pytest.raises(OSError, match=url) as error:
        small_a(weights=f"{url}#sha256={sha256}")
    assert sha256 in str(error.value)
    assert str(cache / f"{sha256[:16]}-a.weights.h5") in str(error.value)


def test_a_cache_that_cannot_be_written_raises_an_error(trained, tmp_path, monkeypatch):
    # Even root cannot create a directory below a file.
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    path = trained[1]
    with pytest.raises(OSError, match="Cannot write to the cache.*KERAS_HOME"):
        small_a(weights=f"{path.as_uri()}#sha256={downloads.sha256_of(path)}")


class Endless(http.server.BaseHTTPRequestHandler):
    """Sends more bytes than it announces."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):  # noqa: N802
        self.send_response(200)
        if "announced" in self.path:
            self.send_header("Content-Length", str(10**12))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                self.wfile.write(bytes(1 << 20))


@pytest.mark.parametrize("name", ["announced", "silent"])
def test_a_download_stops_at_the_size_limit(name, cache, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_BYTES", 5 << 20)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_port}/{name}.weights.h5"
        with pytest.raises(ValueError, match="at most 5242880 bytes.*Received: "):
            small_a(weights=f"{url}#sha256={'0' * 64}")
        httpd.shutdown()
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="needs the permissions of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_downloads_have_the_permissions_of_new_files(tmp_path, server, cache, mask):
    content = b"weights"
    (tmp_path / "a.weights.h5").write_bytes(content)
    before = os.umask(mask)
    try:
        url = f"{server[0]}/a.weights.h5"
        path = downloads.fetch(url, hashlib.sha256(content).hexdigest())
        ours = tmp_path / "ours"
        ours.touch()
    finally:
        os.umask(before)
    assert path.stat().st_mode == ours.stat().st_mode


def test_several_threads_can_download_one_file(tmp_path, server, cache):
    content = np.random.default_rng(0).bytes(1 << 22)
    (tmp_path / "big.weights.h5").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with ThreadPoolExecutor(8) as pool:
        url = f"{server[0]}/big.weights.h5"
        paths = set(pool.map(lambda _: downloads.fetch(url, sha256), range(8)))
    assert [p.read_bytes() == content for p in paths] == [True]
    assert list(cache.iterdir()) == list(paths)


def test_registry_entries_are_complete():
    path = weights.importlib.resources.files("keras_prelu.applications")
    entries = json.loads(path.joinpath("weights.json").read_text())
    for entry in entries.values():
        assert {"net", "arguments", "sha256", "class_names", "mean", "protocol"} <= set(
            entry
        )
        assert {"scores", "command", "input_size"} <= set(entry)
        assert ("url" in entry) != ("file" in entry)
