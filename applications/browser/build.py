"""The files of the page: a network, facts about it, a first image and the runtime."""

import json
import math
import pathlib
import shutil
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from keras_prelu import export, model_surgery
from keras_prelu.analysis.slopes import layer_slopes
from keras_prelu.applications import ModelA
from keras_prelu.applications.weights import registry
from keras_prelu.data.decoding import decode_rgb
from keras_prelu.data.shapes_renderer import SHAPES, render
from training.from_recipe import open_source
from training.workdir import load_model, read_class_names, read_classifier_config

__all__ = ["Shown", "build", "of_run", "quickstart"]

HERE = pathlib.Path(__file__).parent
RUNTIME = HERE / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_COLLAGE = 960  # the side of the first image, in pixels
_SCORED = 256  # the largest side at which the first image is scored
_TILES = 4  # the largest number of its tiles per side
_GAP = (124, 117, 104)  # between the tiles: the mean, which the network sees as 0

# Validation images of the quickstart, one per class, that its network recognizes side
# by side. It recognizes about half of the first ones, since its convolutions see a
# neighbor where they saw the padding of a border in training.
_CHOSEN = (16, 71, 96, 6, 88, 0, 120, 54, 66, 24, 85, 116, 73, 50, 123, 56)


class Shown(NamedTuple):
    """What the page shows.

    Attributes:
        model: A classifier with spatial pyramid pooling.
        class_names: The names of its classes.
        scale: The shorter side of images in evaluation.
        images: Images to put together as the page's first image; it may be empty.
    """

    model: keras.Model
    class_names: Sequence[str]
    scale: int
    images: Sequence[np.ndarray]


def quickstart() -> Shown:
    """Return the network of the quickstart, and one validation image per class."""
    entry = registry()["shapes"]
    # The labels of the validation images repeat; 1 is the number of this split.
    seeds = [(1, 16 * turn + label) for label, turn in enumerate(_CHOSEN)]
    return Shown(
        ModelA(weights="shapes"),
        entry["class_names"],
        entry["protocol"]["scales"][0],
        [decode_rgb(render(*pair)) for pair in zip(SHAPES, seeds, strict=True)],
    )


def of_run(workdir: pathlib.Path) -> Shown:
    """Return the network of a run, and some of its validation images.

    There are no images if the run's data cannot be read any more.
    """
    config = read_classifier_config(workdir)["data"]
    try:
        source = open_source(config, config["validation"])
        count = min(len(source), _TILES**2)
        indices = np.linspace(0, len(source) - 1, count).astype(int)
        images = [decode_rgb(source.read(index)[0]) for index in indices.tolist()]
    except (OSError, ValueError):
        images = []
    names = read_class_names(workdir)
    return Shown(load_model(workdir), names, config["eval_scale"], images)


def _tile(pixels, crop, side):
    """Return the center of an image as in evaluation, of a side in pixels.

    Args:
        pixels: The image.
        crop: The fraction of the shorter side that evaluation keeps.
        side: The side of the tile.
    """
    image = Image.fromarray(pixels)
    kept = crop * min(image.size)
    left, top = ((length - kept) / 2 for length in image.size)
    box = (left, top, left + kept, top + kept)
    return image.resize((side, side), Image.Resampling.BILINEAR, box)


def _collage(shown, input_size, stride):
    """Return an image of square tiles, and the shorter side at which to score it.

    At this size a tile is as large as a window and shows what evaluation sees, and the
    tiles are one cell of the map apart.
    """
    tiles = min(math.isqrt(len(shown.images)), max(1, _SCORED // input_size))
    pitch = input_size + stride
    scored = tiles * pitch - stride
    zoom = max(1, _COLLAGE // scored)
    collage = Image.new("RGB", (zoom * scored, zoom * scored), _GAP)
    for index in range(tiles**2):
        crop = input_size / shown.scale
        tile = _tile(shown.images[index], crop, zoom * input_size)
        row, column = divmod(index, tiles)
        collage.paste(tile, (zoom * pitch * column, zoom * pitch * row))
    return collage, scored


def _write_network(folder, shown):
    """Write the network, and return facts about it that the page needs."""
    model = shown.model
    trunk, _, _, window = model_surgery.split(model)
    export.onnx(
        model,
        folder / "net.onnx",
        dense=True,
        slopes_as_inputs=True,
        class_names=shown.class_names,
    )
    stride, offset = model_surgery.cell_centers(trunk)
    return {
        "classes": list(shown.class_names),
        "input_size": model_surgery.input_size(model)[0],
        "scale": shown.scale,
        "stride": stride,
        "offset": offset,
        "window": window,
        "slopes": {name: x.tolist() for name, x in layer_slopes(model).items()},
    }


def build(folder: pathlib.Path, shown: Shown) -> None:
    """Write all files of the page into an empty folder.

    Args:
        folder: The folder.
        shown: What the page shows.
    """
    if not RUNTIME.is_dir():
        raise ValueError(
            "The folder node_modules must hold ONNX Runtime Web: run `npm ci` in "
            f"{HERE}, or `make web`. Received: no folder {RUNTIME}"
        )
    shutil.copytree(HERE / "page", folder, dirs_exist_ok=True)
    (folder / "runtime").mkdir()
    for name in RUNTIME_FILES:
        shutil.copy(RUNTIME / name, folder / "runtime")
    facts = _write_network(folder, shown)
    if shown.images:
        collage, scale = _collage(shown, facts["input_size"], facts["stride"])
        collage.save(folder / "collage.png")
        facts["start"] = {"image": "collage.png", "scale": scale}
    sizes = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in (folder / "net.onnx", *(folder / "runtime").glob("*.wasm"))
    }
    (folder / "net.json").write_text(json.dumps({**facts, "bytes": sizes}))
