"""SavedModels: the answers of their signatures, and how versions are written."""

import io
import pathlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_prelu import data, export
from keras_prelu.applications import Model14
from keras_prelu.evaluation import evaluate
from keras_prelu.export import image_ops, version_files
from keras_prelu.export.versions import new_version
from tests.data.conftest import broken_jpeg, wavy_image
from tests.data.conftest import encoded as encode
from tests.export.conftest import NAMES, build

pytestmark = pytest.mark.tensorflow_only

# Run in a new process, which imports TensorFlow but neither Keras nor this package.
USE = """
import sys
import numpy as np
import tensorflow as tf
from tensorflow.python.tools import saved_model_cli

folder, given, out = sys.argv[1:]
given = dict(np.load(given))
served = tf.saved_model.load(folder).signatures
made = {name: served["serving_default"](images=images)["scores"]
        for name, images in given.items() if name.startswith("size")}
made["uint8"] = served["serving_uint8"](images=tf.constant(given["pixels"]))["scores"]
np.savez(out + "/scores.npz", **made)
np.save(out + "/bytes.npy", given["jpeg"])
sys.argv[1:] = ["run", "--dir", folder, "--tag_set", "serve", "--signature_def",
                "classify", "--inputs", f"image_bytes={out}/bytes.npy",
                "--outdir", out]
saved_model_cli.main()
loaded = {"keras", "keras_prelu", "tf_keras"} & set(sys.modules)
sys.exit(f"imported: {loaded}" if loaded else 0)
"""
JPEG = encode(wavy_image(44, 60))


class Bytes(data.Source):
    """A source of encoded images, all of the first class."""

    def __init__(self, contents):
        super().__init__(NAMES)
        self.contents = contents

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        return self.contents[index], 0


@pytest.fixture(scope="module")
def mixed():
    """Images of many sizes and formats."""
    grey = Image.fromarray(wavy_image(60, 45)).convert("L")
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = Image.fromarray(wavy_image(48, 50, 6))
    transparent.putalpha(100)
    return [
        JPEG,
        encode(wavy_image(33, 90, 1), "PNG"),
        encode(wavy_image(200, 150, 2), "JPEG", exif=turned),
        encode(wavy_image(32, 32, 3), "BMP"),
        encode(wavy_image(57, 41, 4), "WEBP", lossless=True),
        encode(grey, "JPEG"),
        encode(wavy_image(70, 64, 5), "GIF"),
        encode(transparent, "WEBP"),
        encode(Image.fromarray(wavy_image(39, 71, 7)).convert("P"), "BMP"),
    ]


def any_size(net):
    """Return a net with the same weights, built for any size."""
    other = build(None, None)
    other.set_weights(net.get_weights())
    return other


def crops_of(contents, size=32, scale=40):
    """Crop images as an evaluation does, with Pillow."""
    return next(iter(data.eval_batches(Bytes(contents), len(contents), size, scale)))[0]


def own_crops(contents, size=32, scale=40):
    """Crop images as a SavedModel does; a test compares both crops."""
    images = [image_ops.decode(tf.constant(content)) for content in contents]
    return np.stack([image_ops.resize(pixels, scale, size) for pixels in images])


def loaded(versions, number):
    return tf.saved_model.load(versions / str(number)).signatures


@pytest.fixture(scope="module")
def raising(versions):
    return loaded(versions, 1)


@pytest.fixture(scope="module")
def marking(versions):
    return loaded(versions, 2)


@pytest.mark.slow
def test_it_runs_without_keras_and_without_this_package(net, versions, tmp_path):
    rng = np.random.default_rng(0)
    given = {
        f"size {size}": rng.integers(0, 256, (*size, 3)).astype("float32")
        # The maps of the last size are smaller than the bins.
        for size in ((7, 32, 32), (1, 45, 70), (2, 9, 33))
    }
    given["pixels"] = rng.integers(0, 256, (2, 40, 40, 3), "uint8")
    np.savez(tmp_path / "given.npz", **given, jpeg=np.array([JPEG]))
    command = [sys.executable, "-c", USE, versions / "1", tmp_path / "given.npz"]
    subprocess.run([*command, tmp_path], cwd=tmp_path, check=True, capture_output=True)
    answer = np.load(tmp_path / "scores.npz")
    other = any_size(net)
    given["uint8"] = given.pop("pixels")
    for name, images in given.items():
        expected = other(images).numpy()
        # Equal scores would make the comparison meaningless.
        assert np.abs(expected[0] - 1 / 7).max() > 0.01
        np.testing.assert_allclose(answer[name], expected, atol=1e-5)
    expected = np.sort(net.predict(own_crops([JPEG]), verbose=0)[0])[:-4:-1]
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy")[0], expected, atol=1e-5)


def test_numpy_images_of_any_type_are_accepted(net, raising):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), "uint8")
    for images in (pixels, pixels.astype("float64")):
        answer = raising["serving_default"](images=images)["scores"]
        np.testing.assert_allclose(answer, net.predict(pixels, verbose=0), atol=1e-5)


def test_crops_equal_those_of_an_evaluation_up_to_one_level(mixed):
    expected = crops_of(mixed).numpy().astype(int)
    # Pillow rounds after each of its two passes.
    assert np.abs(own_crops(mixed) - expected).max() <= 1


@pytest.mark.parametrize("count", [1, 9])
def test_encoded_images_are_classified_as_in_an_evaluation(net, raising, mixed, count):
    answer = raising["classify"](image_bytes=tf.constant(mixed[:count]))
    scores = net.predict(own_crops(mixed[:count]), verbose=0)
    best = np.argsort(-scores, axis=1)[:, :3]
    assert answer["classes"].shape == (count, 3)
    expected = [[NAMES[i] for i in row] for row in best]
    assert np.char.decode(answer["classes"].numpy().astype(bytes)).tolist() == expected
    expected = np.take_along_axis(scores, best, 1)
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-5)


BAD = [b"no image", broken_jpeg(JPEG), JPEG[: len(JPEG) // 2], b""]


def test_images_that_cannot_be_decoded_are_an_error_that_names_the_rows(raising):
    contents = [JPEG, *BAD[:2], JPEG, *BAD[2:]]
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        raising["classify"](image_bytes=tf.constant(contents))
    assert "Cannot be decoded: rows] [1 2 4 5]" in str(raised.value)


@pytest.mark.parametrize("signature", ["classify", "dense"])
def test_images_that_cannot_be_decoded_are_marked(marking, signature):
    ask = marking[signature]
    alone = ask(image_bytes=tf.constant([JPEG]))
    answer = ask(image_bytes=tf.constant([*BAD, JPEG]))
    assert (answer["classes"][:-1].numpy() == b"").all()
    assert (answer["scores"][:-1].numpy() == 0).all()
    assert (answer["classes"][-1].numpy() == alone["classes"][0].numpy()).all()
    np.testing.assert_allclose(answer["scores"][-1], alone["scores"][0], atol=1e-6)
    nothing_good = ask(image_bytes=tf.constant(BAD))
    assert (nothing_good["classes"].numpy() == b"").all()


def test_dense_testing_equals_that_of_an_evaluation(net, marking, mixed):
    answer = marking["dense"](image_bytes=tf.constant(mixed))
    expected = evaluate(net, Bytes(mixed), "dense", scales=(40, 52), verbose=0)
    # Pixels that differ by one level change scores a little, other views change more.
    np.testing.assert_allclose(answer["scores"], expected.best_scores, atol=5e-3)
    center = marking["classify"](image_bytes=tf.constant(mixed))["scores"]
    assert np.abs(center - expected.best_scores).max() > 2e-2
    first = np.char.decode(answer["classes"][:, 0].numpy().astype(bytes)).tolist()
    assert first == [NAMES[i] for i in expected.best[:, 0]]


def test_the_warm_up_requests_every_signature(versions, marking):
    predict, logs = version_files._protos()
    records = tf.data.TFRecordDataset(
        str(versions / "2" / "assets.extra" / "tf_serving_warmup_requests")
    )
    requests = [
        logs.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in records
    ]
    assert {request.model_spec.name for request in requests} == {"net"}
    asked = {request.model_spec.signature_name for request in requests}
    assert asked == {"serving_default", "serving_uint8", "classify", "dense"}
    for request in requests:
        ((name, value),) = request.inputs.items()
        answer = marking[request.model_spec.signature_name]
        scores = answer(**{name: tf.constant(tf.make_ndarray(value))})["scores"]
        assert scores[0, 0] > 0


def test_a_version_contains_labels_and_card(net, versions):
    labels = (versions / "1" / "assets" / "labels.txt").read_text()
    assert labels.splitlines() == NAMES
    card = (versions / "1" / "assets.extra" / "model_card.md").read_text()
    for row in (
        "| activation | prelu, prelu_shared |",
        "| licence | MIT |",
        "| scores | not stated |",
        f"| sizes | parameters: {net.count_params()}; image: 32x32; bytes: ",
        "serving_default, serving_uint8, classify; scale: 40",
    ):
        assert row in card


def test_a_version_appears_when_it_is_complete(net, tmp_path, monkeypatch):
    seen = []

    def fail(*_):
        seen.extend(entry.name for entry in tmp_path.iterdir())
        raise OSError("disk full")

    monkeypatch.setattr(version_files, "_write_warm_up", fail)
    with pytest.raises(OSError, match="disk full"):
        export.saved_model(net, tmp_path)
    assert len(seen) == 1
    assert not seen[0].isdigit()
    assert list(tmp_path.iterdir()) == []


def test_versions_are_numbered_in_turn(tmp_path):
    # TF Serving ignores superscripts, and numbers of more than 64 bits.
    for name in ("2", "0010", "notes", ".partial-11", "²", "9" * 20):
        (tmp_path / name).mkdir()
    assert new_version(tmp_path, None).name == "11"
    assert new_version(tmp_path, 3).name == "3"
    assert new_version(tmp_path / "none", None).name == "1"
    with pytest.raises(ValueError, match="Received: version=10"):
        new_version(tmp_path, 10)
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(ValueError, match="last possible.*Received: version=None"):
        new_version(tmp_path, None)
    assert new_version(tmp_path, 4).name == "4"


def fake_writing(monkeypatch, meanwhile):
    """Replace the writing of a SavedModel by a call of `meanwhile`."""

    def save(served, folder, *_):
        (pathlib.Path(folder) / "saved_model.pb").write_text("a model")
        meanwhile()

    monkeypatch.setattr(tf.saved_model, "save", save)


@pytest.mark.slow
def test_three_exports_at_once_become_three_versions(net, tmp_path, monkeypatch):
    """The number 1 is free when each of them starts."""
    together = threading.Barrier(3)
    fake_writing(monkeypatch, together.wait)
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(export.saved_model, net, tmp_path) for _ in range(3)]
    assert sorted(version.result().name for version in done) == ["1", "2", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]
    for path in tmp_path.iterdir():
        assert (path / "saved_model.pb").read_text() == "a model"


def test_a_given_version_that_another_export_took_is_refused(
    net, tmp_path, monkeypatch
):
    def meanwhile():
        (tmp_path / "4" / "theirs").mkdir(parents=True)

    fake_writing(monkeypatch, meanwhile)
    with pytest.raises(ValueError, match="must be a new version.*Received: version=4"):
        export.saved_model(net, tmp_path, version=4)
    assert [path.name for path in tmp_path.rglob("*")] == ["4", "theirs"]


def test_other_classifiers_keep_their_size_and_get_a_softmax(tmp_path):
    images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(4)(keras.layers.Flatten()(images))
    model = keras.Model(images, x)
    served = tf.saved_model.load(export.saved_model(model, tmp_path))
    pixels = np.random.default_rng(0).random((3, 8, 8, 3)).astype("float32")
    answer = served.signatures["serving_default"](images=pixels)["scores"]
    expected = np.exp(model.predict(pixels, verbose=0))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    blank = io.BytesIO()
    Image.new("RGB", (9, 9)).save(blank, "PNG")
    best = served.signatures["classify"](image_bytes=tf.constant([blank.getvalue()]))
    assert sorted(best["classes"].numpy()[0]) == [b"0", b"1", b"2", b"3"]


@pytest.mark.slow
def test_without_tensorflow_serving_api_only_the_warm_up_is_missing(
    net, versions, tmp_path, monkeypatch, caplog
):
    for module in ("predict_pb2", "prediction_log_pb2"):
        monkeypatch.setitem(sys.modules, f"tensorflow_serving.apis.{module}", None)
    with caplog.at_level("WARNING"):
        version = export.saved_model(
            net, tmp_path / "net", class_names=NAMES, top_k=3, scale=40
        )
    assert "net is written without warm-up requests" in caplog.text
    assert "pip install 'keras-prelu[serving]'" in caplog.text
    extra = version / "assets.extra"
    assert sorted(path.name for path in extra.iterdir()) == [
        "model_card.json",
        "model_card.md",
    ]
    assert "warm_up: missing" in (extra / "model_card.md").read_text()
    card = (versions / "1" / "assets.extra" / "model_card.md").read_text()
    assert "warm_up: one request per signature" in card
    image = tf.constant([JPEG])
    answer, expected = (
        tf.saved_model.load(folder).signatures["classify"](image_bytes=image)["scores"]
        for folder in (version, versions / "1")
    )
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"class_names": ["a", "b"]}, r"list of 7 strings.* Received: class_names=\["),
        ({"class_names": "abcdefg"}, "Received: class_names='abcdefg'"),
        ({"class_names": 7}, "Received: class_names=7"),
        ({"class_names": ["a\nb", *"cdefgh"]}, "strings of one line"),
        ({"top_k": 0}, "at least 1. Received: top_k=0"),
        ({"scale": 31}, "at least 32, .* Received: scale=31"),
        (
            {"dense_scales": (40, 20)},
            r"at least 32, .* Received: dense_scales=\(40, 20\)",
        ),
        ({"dense_scales": 40}, "must be integers .* Received: dense_scales=40"),
        ({"on_error": "skip"}, "Received: on_error='skip'"),
        ({"version": 0}, "Received: version=0"),
        ({"version": True}, "Received: version=True"),
        ({"version": 2**63}, "to 9223372036854775807.* Received: version=92233"),
        ({"card": {"author": "me"}}, "Received: card with 'author'"),
        ({"card": 3}, "`card` must be a dict. Received: card=3"),
    ],
)
def test_wrong_arguments_write_nothing(net, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export.saved_model(net, tmp_path / "net", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_channels_first_is_refused(tmp_path):
    keras.config.set_image_data_format("channels_first")
    model = Model14(width=1 / 64, classes=2, input_shape=(3, 32, 32))
    with pytest.raises(ValueError, match="channels last"):
        export.saved_model(model, tmp_path)


def test_class_names_by_position_still_work_and_warn(net, tmp_path):
    with pytest.warns(DeprecationWarning, match="pass class_names="):
        version = export.saved_model(net, tmp_path, NAMES)
    assert (version / "assets" / "labels.txt").read_text().splitlines() == NAMES
    with pytest.raises(TypeError, match="positional"):
        export.saved_model(net, tmp_path, NAMES, 3)
