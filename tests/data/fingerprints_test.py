import hashlib
import json

import ml_dtypes
import numpy as np
import pytest

from keras_prelu import data
from keras_prelu.data.fingerprints import digest_of_array


def _folder(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return data.from_directory(root)


FILES = ("ant/1.jpg", "ant/x/2.jpg", "bee/3.jpg", "cat/4.jpg")


def test_a_fingerprint_survives_json_and_a_move(tmp_path):
    source = _folder(tmp_path / "a", *FILES)
    elsewhere = _folder(tmp_path / "b" / "c", *FILES)
    fingerprint = json.loads(json.dumps(source.fingerprint()))
    assert fingerprint == elsewhere.fingerprint()
    assert fingerprint["kind"] == "FileSource"
    assert fingerprint["count"] == 4
    assert fingerprint["class_names"] == ["ant", "bee", "cat"]
    assert fingerprint["files"]["ant"].startswith("2 files, names ")
    assert data.differences(fingerprint, elsewhere.fingerprint()) == []


@pytest.mark.parametrize(
    "files, expected",
    [
        (
            ("ant/1.jpg", "ant/x/2.jpg", "wasp/3.jpg", "cat/4.jpg"),
            ["class_names: without 'bee', with 'wasp'", "files.bee:", "files.wasp:"],
        ),
        (
            ("ant/1.jpg", "ant/x/2.jpg", "bee/9.jpg", "cat/4.jpg"),
            ["files.bee: 1 files, names"],
        ),
        (
            (*FILES, "cat/5.jpg"),
            ["count: 4 before, 5 now", "files.cat: 1 files, names"],
        ),
        (
            ("ant/1.jpg", "bee/3.jpg", "cat/4.jpg"),
            ["count: 4 before, 3 now", "files.ant: 2 files, names"],
        ),
    ],
    ids=["class renamed", "file renamed", "file added", "file removed"],
)
def test_changes_in_a_folder_are_named(tmp_path, files, expected):
    before = _folder(tmp_path / "a", *FILES).fingerprint()
    now = _folder(tmp_path / "b", *files).fingerprint()
    lines = data.differences(before, now)
    assert len(lines) == len(expected)
    for line, start in zip(sorted(lines), sorted(expected), strict=True):
        assert line.startswith(start)


def test_the_fingerprint_depends_on_the_order():
    names = ["ant", "bee"]
    first = data.from_files(["a/1", "a/2", "a/3"], [0, 1, 0], names).fingerprint()
    labels = data.from_files(["a/1", "a/3", "a/2"], [0, 0, 1], names).fingerprint()
    files = data.from_files(["a/3", "a/2", "a/1"], [0, 1, 0], names).fingerprint()
    classes = data.from_files(["a/1", "a/2", "a/3"], [1, 0, 1], names[::-1])
    assert [line.split(":")[0] for line in data.differences(first, labels)] == ["order"]
    assert [line.split(":")[0] for line in data.differences(first, files)] == [
        "files.ant"
    ]
    assert data.differences(first, classes.fingerprint())[0] == (
        "class_names: in another order"
    )


def test_a_split_depends_on_seed_fraction_and_source(tmp_path):
    files = [f"{name}/{i}.jpg" for name in ("ant", "bee") for i in range(8)]
    source = _folder(tmp_path / "a", *files)

    def fingerprint(source, **options):
        train, validation = data.split(source, **options)
        assert train.fingerprint() != validation.fingerprint()
        return json.loads(json.dumps(validation.fingerprint()))

    first = fingerprint(source)
    assert first == fingerprint(source)
    assert first["source"] == source.fingerprint()
    for other in ({"seed": 1}, {"fraction": 0.5}):
        changed = data.differences(first, fingerprint(source, **other))
        assert changed[-1].startswith("indices:")
    renamed = _folder(tmp_path / "b", *files[:-1], "bee/new.jpg")
    [line] = data.differences(first, fingerprint(renamed))
    assert line.startswith("source.files.bee: 8 files, names ")


@pytest.mark.parametrize("dtype", ["uint8", "float32", ml_dtypes.bfloat16])
def test_the_digest_of_an_array_depends_on_its_bytes(dtype):
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    for part in (array, array[::2, 1:], array.T):
        expected = hashlib.sha256(part.tobytes()).hexdigest()[:16]
        assert digest_of_array(part) == expected
