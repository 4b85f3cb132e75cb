"""Proposals: what they are, and the file that keeps them."""

import json
import sys

import numpy as np
import pytest

from keras_prelu import data
from keras_prelu.data import TooManyBadImagesError
from keras_prelu.detection import boxes, proposals, region_proposals
from keras_prelu.detection.proposal_methods import grid
from tests.detection.annotated import Toy, scene


@pytest.fixture
def counted(monkeypatch):
    """Count the images whose regions are computed."""
    computed = []
    original = region_proposals._regions

    def regions(pixels, *arguments):
        computed.append(pixels.shape[:2])
        return original(pixels, *arguments)

    monkeypatch.setattr(region_proposals, "_regions", regions)
    return computed


def grids(source, path=None):
    return proposals(source, path, method="grid", verbose=False)


def assert_equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.fingerprint() == second.fingerprint()


def assert_regions(regions, height, width, smallest=8):
    assert regions.dtype == np.float32
    assert not regions.flags.writeable
    assert (regions[:, :2] >= 0).all()
    assert (regions[:, 2:] <= [width, height]).all()
    assert (
        regions[:, 2:] - regions[:, :2] >= np.minimum(smallest, [width, height])
    ).all()
    assert sorted(set(map(tuple, regions))) == [*map(tuple, regions)]
    assert (0, 0, width, height) in set(map(tuple, regions))


@pytest.mark.parametrize("size", [(40, 60), (64, 48), (3, 70), (1, 1)])
def test_regions_lie_in_the_image_sorted_and_unique(size):
    (regions,) = grids(Toy([size]))
    assert_regions(regions, *size)


def test_the_grid_overlaps_objects_of_any_position_and_shape():
    height, width = 375, 500
    windows = grid(height, width)
    assert 800 <= len(windows) <= 900
    rng = np.random.default_rng(0)
    sides = rng.uniform(0.15, 0.7, (500, 1)) * np.sqrt(height * width)
    ratio = 2 ** rng.uniform(-1, 1, 500)
    sides = sides * np.sqrt(np.stack([ratio, 1 / ratio], axis=1))
    sides = np.minimum(sides, [width, height])
    corners = rng.uniform(0, 1, (500, 2)) * ([width, height] - sides)
    objects = np.concatenate([corners, corners + sides], axis=1)
    best = boxes.iou(objects, windows).max(axis=1)
    assert (best > 0.5).mean() > 0.99


def test_the_grid_depends_on_the_size_only():
    first, second = (grids(source) for source in (Toy([(40, 60)]), Toy([(40, 60)] * 2)))
    np.testing.assert_array_equal(first[0], second[1])
    np.testing.assert_allclose(grid(80, 120), 2 * grid(40, 60))


def test_a_file_keeps_what_was_computed(tmp_path, counted):
    path = tmp_path / "new" / "regions.npz"
    first = grids(Toy(), path)
    assert len(counted) == 3
    again = grids(Toy(), path)
    assert len(counted) == 3
    assert_equal(first, again)
    assert [entry.name for entry in path.parent.iterdir()] == ["regions.npz"]


def test_a_computation_that_was_stopped_continues(tmp_path, monkeypatch, counted):
    monkeypatch.setattr(region_proposals, "_IMAGES_PER_PART", 2)
    source = Toy([(40 + i, 60) for i in range(7)])

    def stop(self, index):
        if index == 5:
            raise KeyboardInterrupt
        return self.contents[index], None

    with monkeypatch.context() as stopped:
        stopped.setattr(Toy, "__getitem__", stop)
        with pytest.raises(KeyboardInterrupt):
            grids(source, tmp_path / "regions.npz")
    counted.clear()
    resumed = grids(source, tmp_path / "regions.npz")
    assert sorted(counted) == [(44, 60), (45, 60), (46, 60)]
    assert_equal(resumed, grids(source))


def test_two_processes_can_compute_the_same_file(tmp_path, monkeypatch, counted):
    source, path = Toy([(30, 40)] * 3), tmp_path / "regions.npz"
    savez = np.savez

    def savez_of_the_slower_one(*arguments, **arrays):
        monkeypatch.setattr(np, "savez", savez)
        grids(source, path)  # begins and ends while the slower one writes
        savez(*arguments, **arrays)

    monkeypatch.setattr(np, "savez", savez_of_the_slower_one)
    computed = grids(source, path)
    assert len(counted) == 6
    assert_equal(grids(source, path), computed)
    assert len(counted) == 6
    assert [*tmp_path.iterdir()] == [path]


def test_the_fingerprint_depends_on_the_regions():
    first = grids(Toy()).fingerprint()
    assert json.loads(json.dumps(first)) == first
    assert first["method"] == "grid"
    assert first["side"] is None
    assert first["count"] == sum(len(regions) for regions in grids(Toy()))
    other = region_proposals.Proposals([grids(Toy())[i] for i in (1, 0, 2)], "grid")
    assert other.fingerprint() == first | {"digest": other.fingerprint()["digest"]}
    assert other.fingerprint() != first


def test_a_file_of_other_images_is_refused(tmp_path):
    path = tmp_path / "regions.npz"
    grids(Toy(), path)
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match="^Argument `path` must be.*source.count: 3 be"
    ):
        grids(Toy([(40, 60)]), path)
    changed = Toy()
    changed.contents[1] = scene(64, 48, seed=9)
    with pytest.raises(ValueError, match="the bytes of image 1 have changed$"):
        grids(changed, path)
    with pytest.raises(ValueError, match="method: grid before, selective_search now"):
        proposals(Toy(), path)
    assert path.read_bytes() == before


def annotated_files(folder, rows):
    """Return the images of a folder with the boxes of a table."""
    path = folder / "boxes.csv"
    path.write_text("image,xmin,ymin,xmax,ymax,class\n" + "\n".join(rows))
    return data.from_boxes_csv(path)


@pytest.mark.parametrize("nested", [False, True])
def test_a_file_stays_valid_when_annotations_are_corrected(tmp_path, nested, counted):
    for index, content in enumerate(Toy().contents):
        (tmp_path / f"{index}.png").write_bytes(content)
    rows = [f"{index}.png,8,5,30,25,square" for index in range(3)]
    before = annotated_files(tmp_path, rows)
    corrected = annotated_files(tmp_path, [*rows[:2], "2.png,8,5,31,25,rectangle"])
    if nested:
        before, corrected = (
            data.AnnotatedSubset(data.AnnotatedSubset(source, [0, 2]), [1, 0])
            for source in (before, corrected)
        )
    path = tmp_path / "regions.npz"
    first = grids(before, path)
    counted.clear()
    assert_equal(grids(corrected, path), first)
    assert not counted
    with pytest.raises(ValueError, match="source.* before, .* now"):
        grids(data.AnnotatedSubset(corrected, [0]), path)


def test_a_file_that_names_the_annotations_stays_valid(tmp_path, counted):
    """Earlier versions kept the whole fingerprint of the source."""
    path = tmp_path / "regions.npz"
    first = grids(Toy(), path)
    with np.load(path) as arrays:
        content = dict(arrays)
    header = json.loads(str(content["header"]))
    header["source"] |= {"class_names": ["square"], "annotations": "0123456789abcdef"}
    np.savez(path, **content | {"header": np.array(json.dumps(header))})
    counted.clear()
    assert_equal(grids(Toy(), path), first)
    assert not counted


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4 torn"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "notes.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^Argument `path` must be a new file or one"):
        grids(Toy(), path)
    assert path.read_bytes() == content


def test_images_that_cannot_be_decoded_have_no_regions(tmp_path):
    source = Toy()
    source.contents[1] = b"torn"
    regions = grids(source, tmp_path / "regions.npz")
    assert list(source.skipped) == ["image 1"]
    assert regions[1].shape == (0, 4)
    assert len(regions[2]) > 100
    assert_equal(regions, grids(source, tmp_path / "regions.npz"))
    source.contents[2] = b"torn too"
    with pytest.raises(TooManyBadImagesError):
        grids(source)


def test_wrong_arguments_are_refused(tmp_path):
    for arguments, message in (
        (
            {"method": "edges"},
            "`method` must be one of 'selective_search', 'grid'. Rec",
        ),
        ({"method": "grid", "side": 96}, "`side` must be None for method='grid'"),
        (
            {"side": 7},
            "`side` must be None or an integer of at least 8. Received: side=7",
        ),
        ({"side": 96.5}, "`side` must be None or an integer"),
    ):
        with pytest.raises(ValueError, match=f"^Argument {message}"):
            proposals(Toy(), tmp_path / "regions.npz", **arguments)
    assert not list(tmp_path.iterdir())


def test_a_list_of_images_is_no_source():
    message = "^Argument `source` must be a `keras_prelu.data.Source`. .*source=list$"
    with pytest.raises(TypeError, match=message):
        grids([np.zeros((40, 60, 3), "uint8")])


def test_proposals_of_lists_have_four_columns():
    first, second = region_proposals.Proposals([[], [[1, 2, 3, 4]]], "grid")
    assert first.shape == (0, 4)
    assert second.tolist() == [[1, 2, 3, 4]]
    assert not second.flags.writeable


def test_without_opencv_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"cv2.*keras-prelu\[detection\]"):
        proposals(Toy(), tmp_path / "regions.npz", verbose=False)
    assert not list(tmp_path.iterdir())
    assert len(grids(Toy())) == 3


@pytest.mark.parametrize("side", [None, 32])
def test_selective_search_gives_the_same_bits_with_any_number_of_threads(
    side, monkeypatch
):
    cv2 = pytest.importorskip("cv2")
    before = cv2.getNumThreads()
    source = Toy()
    results = []
    for threads in (1, 2):
        monkeypatch.setattr(region_proposals, "usable_cores", lambda n=threads: n)
        results.append(proposals(source, side=side, verbose=False))
    assert_equal(*results)
    assert cv2.getNumThreads() == before
    smallest = 8 if side is None else 8 * 40 / 32 - 1e-3
    assert_regions(results[0][0], 40, 60, smallest)
    rectangles = np.array([[8, 5, 30, 25], [25, 18, 45, 38]])
    overlaps = boxes.iou(rectangles, results[0][0]).max(axis=1)
    assert (overlaps > 0.7).all()
    assert side is not None or (overlaps > 0.99).any()
