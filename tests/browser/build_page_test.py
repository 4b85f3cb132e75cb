"""The files of the page: the network, the facts about it and the first image."""

import json

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from applications.browser import build
from keras_prelu.analysis.slopes import layer_slopes
from keras_prelu.data.shapes_renderer import SHAPES, render
from keras_prelu.evaluation import dense_model
from tests.export.conftest import build as small_net
from tests.serving.export_program_test import make_run

pytestmark = pytest.mark.tensorflow_only


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """Replace ONNX Runtime Web by small files."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in build.RUNTIME_FILES:
        (folder / name).write_text(name)
    monkeypatch.setattr(build, "RUNTIME", folder)


def test_the_page_of_the_quickstart(runtime, tmp_path):
    page = tmp_path / "page"
    page.mkdir()
    shown = build.quickstart()
    build.build(page, shown)
    facts = json.loads((page / "net.json").read_text())
    assert facts["classes"] == sorted(SHAPES)
    assert (facts["input_size"], facts["scale"]) == (48, 54)
    assert (facts["stride"], facts["offset"], facts["window"]) == (16, 8.5, [3, 3])
    for name, values in layer_slopes(shown.model).items():
        assert facts["slopes"][name] == values.tolist()
    for name, size in facts["bytes"].items():
        assert (page / name).stat().st_size == size
    assert {"net.onnx", "runtime/ort-wasm-simd-threaded.wasm"} <= {*facts["bytes"]}
    assert (page / "index.html").is_file()

    # Scored at its size, a window lies on each tile of the collage.
    assert facts["start"] == {"image": "collage.png", "scale": 240}
    collage = Image.open(page / "collage.png")
    assert collage.size == (960, 960)
    pixels = np.asarray(collage.resize((240, 240), Image.Resampling.BILINEAR))
    session = onnxruntime.InferenceSession(page / "net.onnx")
    slopes = {name: np.float32(values) for name, values in facts["slopes"].items()}
    images = np.float32(pixels)[None]
    (scores,) = session.run(None, {"images": images, **slopes})
    tiles = scores[0, ::4, ::4].reshape(16, 16)
    assert (tiles.argmax(axis=1) == np.arange(16)).sum() >= 15
    expected = dense_model(shown.model, average=False)(images).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_a_tile_shows_what_evaluation_sees():
    image = np.zeros((60, 80, 3), "uint8")
    image[5:55, 15:65] = 255  # the center, 50 pixels of the shorter side's 60
    tile = np.asarray(build._tile(image, 50 / 60, 50))
    np.testing.assert_array_equal(tile, np.full((50, 50, 3), 255))


def test_the_page_of_a_run(runtime, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    make_run(run)
    shown = build.of_run(run)
    assert (shown.class_names, shown.scale) == (["ant", "bee"], 36)
    assert [image.shape for image in shown.images] == [(50, 40, 3)] * 2
    page = tmp_path / "page"
    page.mkdir()
    build.build(page, shown)
    facts = json.loads((page / "net.json").read_text())
    assert facts["start"]["scale"] == 32  # two images make a collage of one
    # Without its data the page has no first image.
    (run / "set").rename(tmp_path / "elsewhere")
    assert len(build.of_run(run).images) == 0


def test_the_run_of_a_detector_is_refused(tmp_path):
    make_run(tmp_path)
    config = {"data": {"path": "", "validation": "test"}, "detection": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=f"workdir={tmp_path}, which trained a det"):
        build.of_run(tmp_path)


def test_a_missing_runtime_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "RUNTIME", tmp_path / "nothing")
    shown = build.Shown(small_net(32, 32), ["a"] * 7, 36, [])
    with pytest.raises(ValueError, match="npm ci"):
        build.build(tmp_path, shown)
    assert list(tmp_path.iterdir()) == []


def test_the_same_shapes_as_in_the_validation_set():
    first = build.quickstart().images[0]
    expected = build.decode_rgb(render("arrow", (1, 16 * 16)))
    np.testing.assert_array_equal(first, expected)
