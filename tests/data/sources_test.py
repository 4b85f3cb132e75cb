import os
import pathlib
import re
import sqlite3

import numpy as np
import pytest

from keras_prelu import data


def _tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_one_folder_per_class_in_the_order_of_names(tmp_path):
    _tree(
        tmp_path,
        "zebra/1.jpg",
        "Ämse/b/c/3.jpeg",
        "Ämse/a.PNG",
        "ant/2",
        "ant/.hidden.jpg",
        "ant/notes.txt",
        ".git/x.jpg",
        "readme.md",
    )
    source = data.from_directory(tmp_path)
    assert source.class_names == ["ant", "zebra", "Ämse"]
    assert len(source) == 4
    assert [source[i] for i in range(4)] == [
        (b"ant/2", 0),
        (b"zebra/1.jpg", 1),
        ("Ämse/a.PNG".encode(), 2),
        ("Ämse/b/c/3.jpeg".encode(), 2),
    ]
    assert source.describe(1) == str(tmp_path / "zebra" / "1.jpg")


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere, which does not exist"):
        data.from_directory(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="file, which is a file"):
        data.from_directory(tmp_path / "file")
    with pytest.raises(ValueError, match="which has no folders"):
        data.from_directory(tmp_path)
    _tree(tmp_path, "ant/1.jpg", "bee/list.txt")
    with pytest.raises(ValueError, match=r"bee has no images"):
        data.from_directory(tmp_path)


def test_an_unreadable_folder_stops_the_listing(tmp_path, monkeypatch):
    _tree(tmp_path, "ant/1.jpg", "ant/locked/2.jpg")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="locked"):
        data.from_directory(tmp_path)


def test_a_list_of_files(tmp_path):
    _tree(tmp_path, "1", "2")
    source = data.from_files([tmp_path / "1", tmp_path / "2"], [1, 0], ["ant", "bee"])
    assert (len(source), source[0], source[1]) == (2, (b"1", 1), (b"2", 0))
    with pytest.raises(ValueError, match=r"Received: label=2 of b\.jpg"):
        data.from_files(["a.jpg", "b.jpg"], [0, 2], ["ant", "bee"])
    with pytest.raises(ValueError, match=r"len\(paths\)=1, len\(labels\)=2"):
        data.from_files(["a.jpg"], [0, 1], ["ant", "bee"])
    with pytest.raises(ValueError, match="at least one file"):
        data.from_files([], [], ["ant"])
    labels = np.array([1, 0], np.int64)
    source = data.from_files(["a.jpg", "b.jpg"], labels, ["ant", "bee"])
    assert source.labels.tolist() == [1, 0]


@pytest.mark.parametrize("label", [0.6, 1.0, np.float32(1), True, np.True_, "1"])
def test_labels_of_files_must_be_integers(label):
    with pytest.raises(ValueError, match=r"integers in 0 \.\.\. 1\. .* of b\.jpg"):
        data.from_files(["a.jpg", "b.jpg"], [0, label], ["ant", "bee"])


def test_labels_of_any_source_are_checked_when_read():
    class Wrong(data.Source):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return b"", -1

    with pytest.raises(ValueError, match=r"Received: label=-1 of image 0"):
        Wrong(["ant", "bee"]).read(0)


def test_quota():
    source = data.from_files(map(str, range(250)), [0] * 250, ["ant"])
    assert source.max_bad == 3  # 1 %, rounded up
    for index in (5, 6, 6, 7):  # the same image counts once
        source.skip(index, "torn")
    with pytest.raises(data.TooManyBadImagesError, match="4 images") as error:
        source.skip(8, "burnt")
    assert "5: torn" in str(error.value) and "8: burnt" in str(error.value)
    assert source.skipped == {"5": "torn", "6": "torn", "7": "torn", "8": "burnt"}


@pytest.mark.parametrize("length, quota", [(1, 1), (10**4, 100), (10**6, 100)])
def test_default_quota(length, quota):
    source = data.from_files(["x"], [0], ["ant"])
    source.paths *= length
    assert source.max_bad == quota


def test_quota_can_be_set():
    source = data.from_files(["x"], [0], ["ant"], max_bad=0)
    with pytest.raises(data.TooManyBadImagesError, match="`max_bad` allows 0 of 1"):
        source.skip(0, "torn")
    with pytest.raises(ValueError, match="max_bad=-1"):
        data.from_files(["x"], [0], ["ant"], max_bad=-1)


@pytest.mark.parametrize("names", ["ant", ["ant", 2], [b"ant"], [None], 3, None])
def test_class_names_that_are_no_strings_are_refused(names):
    message = re.escape(f"must be a list of strings. Received: class_names={names!r}")
    with pytest.raises(ValueError, match=message):
        data.Source(names)
    with pytest.raises(ValueError, match=message):
        data.from_files(["x"], [0], names)


def test_the_source_of_the_guide(tmp_path):
    guide = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "data.md"
    section = guide.read_text(encoding="utf-8").partition("### Your own source")[2]
    names = {}
    exec(section.split("```python\n")[1].split("```")[0], names)  # noqa: S102
    file = tmp_path / "images.db"
    with sqlite3.connect(file) as database:
        database.execute("create table images (id integer, label integer, jpeg blob)")
        rows = [(7, 1, b"seven"), (3, 0, b"three")]
        database.executemany("insert into images values (?, ?, ?)", rows)
    source = names["DatabaseSource"](file, ["ant", "bee"])
    assert (len(source), source.read(0), source.read(1)) == (
        2,
        (b"three", 0),
        (b"seven", 1),
    )


def _numbered(root, **counts):
    _tree(root, *(f"{c}/{i:02d}.jpg" for c, n in counts.items() for i in range(n)))
    return data.from_directory(root)


def test_a_subset_has_its_images_in_the_given_order(tmp_path):
    source = _numbered(tmp_path, ant=3, bee=2)
    subset = data.Subset(source, [4, 0])
    assert [subset[i] for i in range(2)] == [(b"bee/01.jpg", 1), (b"ant/00.jpg", 0)]
    assert subset.labels.tolist() == [1, 0]
    assert subset.describe(0) == source.describe(4)
    assert subset.class_names == ["ant", "bee"]
    from_numpy = data.Subset(source, np.array([4, 0]))
    assert from_numpy.fingerprint() == subset.fingerprint()


@pytest.mark.parametrize("index", [5, -1, 0.9, 1.0, True, np.True_, "1", None])
def test_indices_of_a_subset_are_positions_in_its_source(tmp_path, index):
    source = _numbered(tmp_path, ant=3, bee=2)
    with pytest.raises(ValueError, match=r"`indices` must .* Received: indices\[1\]="):
        data.Subset(source, [4, index])


@pytest.mark.parametrize(
    ("indices", "received"),
    [
        ([0, True], r"\[1\]=True"),
        ([0, 1.0], r"\[1\]=1.0"),
        ([True, 0, 1, 9], r"\[0\]=True"),
        ([0, 9, True], r"\[1\]=9"),
        ([4, 0, -1, -2], r"\[2\]=-1"),
        ([2**70], r"\[0\]=1180591620717411303424"),
        ([np.uint64(2**63)], r"\[0\]=.*9223372036854775808\)?"),
        (np.array([0.0, 1.0]), r"\[0\]=.*0\.0\)?"),
        (np.array([[0, 1]]), r"\[0\]=array\(\[0, 1\]\)"),
        (np.array([0, True], object), r"\[1\]=True"),
    ],
)
def test_the_first_index_that_is_no_position_is_named(tmp_path, indices, received):
    source = _numbered(tmp_path, ant=3, bee=2)
    with pytest.raises(ValueError, match=f"Received: indices{received}$"):
        data.Subset(source, indices)


def test_indices_of_a_subset_are_integers_of_any_type(tmp_path):
    source = _numbered(tmp_path, ant=3, bee=2)
    mixed = [np.uint64(4), 0, np.int8(2)]
    for indices in (mixed, iter(mixed), np.array([4, 0, 2], np.uint8)):
        subset = data.Subset(source, indices)
        assert subset.labels.tolist() == [1, 0, 0]
        assert subset.fingerprint() == data.Subset(source, [4, 0, 2]).fingerprint()
    assert len(data.Subset(source, [])) == len(data.Subset(source, np.array([], int)))


def test_a_mask_is_not_a_list_of_indices(tmp_path):
    source = _numbered(tmp_path, ant=3, bee=2)
    with pytest.raises(ValueError, match=r"Received: indices\[0\]=.*True"):
        data.Subset(source, source.labels == 0)


def test_a_split_takes_a_fraction_of_each_class_and_every_image_once(tmp_path):
    source = _numbered(tmp_path, ant=10, bee=20, fly=2)
    train, validation = data.split(source, fraction=0.2, seed=1)
    assert np.bincount(validation.labels).tolist() == [2, 4, 1]
    seen = [part[i] for part in (train, validation) for i in range(len(part))]
    assert sorted(seen) == sorted(source[i] for i in range(len(source)))
    again = data.split(source, fraction=0.2, seed=1)[1]
    other = data.split(source, fraction=0.2, seed=2)[1]
    names = [[part[i] for i in range(7)] for part in (validation, again, other)]
    assert names[0] == names[1] != names[2]


def test_a_split_of_too_few_images_is_refused(tmp_path):
    source = _numbered(tmp_path, ant=3, bee=1)
    with pytest.raises(ValueError, match="Received: 1 of the class 'bee'"):
        data.split(source)
    with pytest.raises(ValueError, match="Received: fraction=1"):
        data.split(source, fraction=1)


def test_split_takes_the_former_name_of_fraction_with_a_warning(tmp_path):
    source = _numbered(tmp_path, ant=10, bee=20)
    with pytest.warns(DeprecationWarning, match="use `fraction`"):
        _, validation = data.split(source, share=0.5)
    expected = data.split(source, fraction=0.5)[1]
    assert validation.fingerprint() == expected.fingerprint()
