import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from keras_prelu import data
from keras_prelu.data import scenes_renderer
from keras_prelu.data.scenes_renderer import render_scene
from keras_prelu.data.shapes_renderer import SHAPES

COUNT = 64


@pytest.fixture(scope="module")
def rendered():
    return [render_scene((9, index)) for index in range(COUNT)]


def test_the_bits_do_not_change(rendered):
    digest = hashlib.sha256()
    for image, objects in rendered:
        digest.update(image + b"".join(array.tobytes() for array in objects))
    assert digest.hexdigest() == (
        "823d27caf60a32df1e930f7d87f1956d0dfea637e5dbae96e0f40cced3e8762c"
    ), "The renderer draws other scenes: give the dataset a new version"


def test_images_have_1_to_6_objects_of_the_stated_sizes(rendered):
    counts = [len(objects.boxes) for _, objects in rendered]
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    for image, objects in rendered:
        with Image.open(io.BytesIO(image)) as opened:
            assert opened.format == "JPEG" and opened.mode == "RGB"
            width, height = opened.size
        assert min(width, height) >= 160 and max(width, height) <= 224
        x1, y1, x2, y2 = objects.boxes.T
        assert (x1 >= 0).all() and (y1 >= 0).all()
        assert (x2 <= width).all() and (y2 <= height).all()
        longer = np.maximum(x2 - x1, y2 - y1)
        assert longer.max() <= 112
        # The border cuts off at most 15 %, and cutouts make a crescent smaller.
        assert longer.min() >= 0.8 * 36
        assert (objects.boxes == np.round(objects.boxes)).all()


def test_no_two_centers_are_nearly_equal(rendered):
    for _, objects in rendered:
        centers = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
        distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
        assert (distances + 99 * np.eye(len(centers)) > 10).all()


def test_every_class_occurs_and_some_objects_are_difficult(rendered):
    labels = np.concatenate([objects.labels for _, objects in rendered])
    difficult = np.concatenate([objects.difficult for _, objects in rendered])
    assert np.bincount(labels, minlength=16).min() > 0
    assert 0 < difficult.mean() < 0.1


def test_boxes_are_tight_around_the_pixels_of_their_objects(monkeypatch):
    def plain(rng, size, color):
        return Image.new("RGB", size, tuple(color.tolist()))

    monkeypatch.setattr(scenes_renderer, "texture", plain)
    monkeypatch.setattr(scenes_renderer, "scatter", lambda *arguments: None)
    monkeypatch.setattr(scenes_renderer, "finished", lambda rng, image: image)
    monkeypatch.setattr(scenes_renderer, "MAX_OBJECTS", 1)
    for index in range(40):
        image, objects = render_scene((9, index))
        pixels = np.asarray(image)
        # Most corners show the background.
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        colors, times = np.unique(corners, axis=0, return_counts=True)
        drawn = (pixels != colors[times.argmax()]).any(axis=-1)
        rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
        expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert objects.boxes.tolist() == [expected]


def test_visible_fractions():
    def mask(left, top, right, bottom):
        image = Image.new("L", (20, 20))
        image.paste(255, (left, top, right, bottom))
        return image

    masks = [mask(0, 0, 10, 10), mask(5, 0, 15, 10), mask(0, 0, 10, 5)]
    fractions = scenes_renderer._visible_fractions(masks)
    assert fractions.tolist() == [0.25, 0.75, 1.0]


@pytest.mark.tensorflow_only
def test_scenes_is_a_tfds_dataset_of_what_the_renderer_draws(monkeypatch, tmp_path):
    from keras_prelu.data import scenes_dataset

    monkeypatch.setattr(scenes_dataset, "_SIZES", {"train": 24, "validation": 8})
    train, validation = (
        data.scenes(split, tmp_path) for split in ("train", "validation")
    )
    assert (len(train), len(validation)) == (24, 8)
    assert train.class_names == sorted(SHAPES)
    for source, seed in ((train, 2), (validation, 3)):
        expected = dict(render_scene((seed, i)) for i in range(len(source)))
        for index in range(len(source)):
            content, objects = source.read(index)
            for actual, array in zip(objects, expected.pop(content), strict=True):
                np.testing.assert_array_equal(actual, array)
                assert actual.dtype == array.dtype
        assert not expected
    assert train.fingerprint()["builder"] == "prelu_scenes/1.0.0"
    assert data.differences(train.fingerprint(), validation.fingerprint()) == [
        "count: 24 before, 8 now",
        "split: train before, validation now",
    ]
    assert train.describe(0) == "prelu_scenes/1.0.0 train record 0"
