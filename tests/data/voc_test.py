"""PASCAL VOC, prepared by TFDS's own builder from toy tar files."""

import hashlib
import io
import itertools

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.object_detection.voc import Voc

from keras_prelu import data, detection
from keras_prelu.data.tfds_records import TfdsRecords
from tests.data.conftest import encoded, tar, wavy_image

pytestmark = pytest.mark.tensorflow_only

GRAY = "000013"
EMPTY = "000021"
# (class, xmin, ymin, xmax, ymax, difficult, truncated) as VOC counts, by image.
OBJECTS = {
    "000005": [("chair", 1, 1, 97, 75, 0, 1), ("dog", 96, 74, 97, 75, 1, 0)],
    "000007": [("car", 2, 3, 50, 60, 0, 0)],
    GRAY: [("aeroplane", 31, 17, 89, 61, 1, 1)],
    EMPTY: [],
    # Every number of pixels, to see that all of them come back as integers.
    "000042": [("tvmonitor", n, n, n, n, n % 2, 0) for n in range(1, 76)],
    # VOC 2012 has such numbers.
    "000055": [("cat", 45.70000076, 1, 60.29999924, 9, 0, 0)],
    "000060": [("person", 10, 20, 30, 40, 0, 0)],
}
SETS = {
    "trainval": {
        "train": ["000005", GRAY, "000042"],
        "val": ["000007", EMPTY, "000055"],
    },
    "test": {"test": ["000060"]},
}


def _size(name):
    return 97, 75 + int(name) % 2  # width and height


def _image(name):
    width, height = _size(name)
    pixels = wavy_image(height, width, int(name))
    return encoded(pixels[..., 0] if name == GRAY else pixels)


def _xml(name):
    width, height = _size(name)
    objects = "".join(
        f"<object><name>{label}</name><pose>Left</pose><truncated>{truncated}"
        f"</truncated><difficult>{difficult}</difficult><bndbox><xmin>{xmin}</xmin>"
        f"<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
        for label, xmin, ymin, xmax, ymax, difficult, truncated in OBJECTS[name]
    )
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height>"
        f"<depth>3</depth></size>{objects}</annotation>"
    ).encode()


def _tar(sets, year):
    root = f"VOCdevkit/VOC{year}"
    files = {}
    for set_name, names in sets.items():
        listing = "".join(f"{name}\n" for name in names)
        files[f"{root}/ImageSets/Main/{set_name}.txt"] = listing.encode()
        for name in names:
            files[f"{root}/JPEGImages/{name}.jpg"] = _image(name)
            files[f"{root}/Annotations/{name}.xml"] = _xml(name)
    return tar(files)


@pytest.fixture(scope="module", params=["2007", "2012"])
def prepared(request, tmp_path_factory):
    """Put toy tar files where a user would, and return the year and the data_dir."""
    data_dir = tmp_path_factory.mktemp("voc")
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    url_infos = dict(Voc.url_infos)
    config = next(c for c in Voc.BUILDER_CONFIGS if c.name == request.param)
    for part, file_name in config.filenames.items():
        content = _tar(SETS[part], request.param)
        (manual / file_name).write_bytes(content)
        url = next(url for url in url_infos if url.endswith(file_name))
        # The toy files do not have the checksums of the real ones.
        checksum = hashlib.sha256(content).hexdigest()
        url_infos[url] = UrlInfo(len(content), checksum, file_name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Voc, "url_infos", url_infos)
        data.voc(request.param, "trainval", data_dir)
    return request.param, data_dir


def _by_name(source):
    """Return (bytes, objects) of every image by the name of its file."""
    names = [
        source.describe(i).rpartition("(")[2].rstrip(")") for i in range(len(source))
    ]
    assert len(set(names)) == len(names)
    return {name[:-4]: source.read(i) for i, name in enumerate(names)}


@pytest.mark.parametrize(
    "split, sets",
    [
        ("train", ["train"]),
        ("val", ["val"]),
        ("validation", ["val"]),
        ("trainval", ["train", "val"]),
    ],
)
def test_boxes_of_voc_count_from_0_and_are_exact(prepared, split, sets):
    source = data.voc(prepared[0], split, prepared[1])
    images = _by_name(source)
    expected = itertools.chain(*(SETS["trainval"][name] for name in sets))
    assert set(images) == set(expected)
    for name, (content, objects) in images.items():
        assert content == _image(name)
        rows = OBJECTS[name]
        boxes = [(x1 - 1, y1 - 1, x2, y2) for _, x1, y1, x2, y2, _, _ in rows]
        if name == "000055":
            boxes = [(44.7, 0, 60.3, 9)]
        expected = np.array(boxes, np.float32).reshape(-1, 4)
        np.testing.assert_array_equal(objects.boxes, expected)
        labels = [source.class_names[label] for label in objects.labels]
        assert labels == [row[0] for row in rows]
        assert objects.difficult.tolist() == [bool(row[5]) for row in rows]
        assert [array.dtype for array in objects] == [np.float32, np.int32, bool]


def test_classes_fingerprint_and_names(prepared):
    year, data_dir = prepared
    source = data.voc(year, "trainval", data_dir)
    assert len(source.class_names) == 20 and source.class_names[14] == "person"
    fingerprint = source.fingerprint()
    assert fingerprint["builder"] == f"voc/{year}/5.0.0"
    assert fingerprint["split"] == "train+validation"
    builder = tfds.builder(f"voc/{year}", data_dir=data_dir)
    assert builder.info.file_format.value == "array_record"
    assert source.describe(0).startswith(
        f"voc/{year}/5.0.0 train+validation record 0 ("
    )


def test_gray_images_stay_gray(prepared):
    content, objects = _by_name(data.voc(prepared[0], "train", prepared[1]))[GRAY]
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "L"
    assert len(objects.boxes) == 1


def test_an_image_that_cannot_be_decoded_is_skipped(prepared, monkeypatch):
    features = TfdsRecords.features

    def second_is_torn(records, index):
        of_record = features(records, index)
        if index == 1:
            of_record["image"].bytes_list.value[0] = b"torn"
        return of_record

    monkeypatch.setattr(TfdsRecords, "features", second_is_torn)
    source = data.voc(prepared[0], "trainval", prepared[1])
    content, objects = source.read(1)
    assert content == b"torn" and objects.boxes.shape == (0, 4)
    reason = "not an image in JPEG, PNG, GIF, BMP, WEBP"
    assert data.check(source, verbose=False) == [(source.describe(1), reason)]
    proposals = [np.zeros((0, 4))] * len(source)
    images, _ = next(iter(detection.train_batches(source, proposals, len(source))))
    assert len(images["images"]) == len(source)
    assert source.skipped == {source.describe(1): reason}


def test_the_test_split_of_2012_is_refused(prepared):
    year, data_dir = prepared
    if year == "2007":
        assert set(_by_name(data.voc(year, "test", data_dir))) == {"000060"}
    else:
        with pytest.raises(ValueError, match="no annotations. Received: split=test"):
            data.voc(year, "test", data_dir)


def test_bad_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="Received: year=2008"):
        data.voc("2008", data_dir=tmp_path)
    with pytest.raises(ValueError, match="Received: split=dev"):
        data.voc(split="dev", data_dir=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_failed_download_says_where_to_put_which_files(tmp_path, monkeypatch):
    from tensorflow_datasets.core.download import downloader
    from tensorflow_datasets.object_detection import voc

    monkeypatch.setattr(voc, "_VOC_DATA_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)
    with pytest.raises(FileNotFoundError) as error:
        data.voc("2007", "test", tmp_path)
    manual = tmp_path / "downloads" / "manual"
    assert (
        "put VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar into "
        f"{manual}; see docs/guides/data.md"
    ) in str(error.value)
