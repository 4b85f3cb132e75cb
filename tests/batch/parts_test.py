"""The parts of the programs in applications/batch: reading images, writing results."""

import json
import os

import pytest

pytest.importorskip("apache_beam")

import apache_beam as beam
import pyarrow.parquet
from apache_beam.testing.util import assert_that, equal_to

from applications.batch import images, output, program
from keras_prelu import data
from keras_prelu.data.tfds_records import file_instructions, prepared_builder
from keras_prelu.data.tfds_source import image_and_label
from tests.data.tfds_test import imagenet  # noqa: F401 (a fixture)

pytestmark = pytest.mark.tensorflow_only


def assert_reads(transform, expected):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        assert_that(pipeline | transform, equal_to(expected))


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(name))


# Reading ------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "train[5:9]"])
def test_records_are_those_of_one_machine(imagenet, split, monkeypatch):  # noqa: F811
    monkeypatch.setattr(images, "_RECORDS_PER_BLOCK", 3)
    builder = prepared_builder("imagenet2012", imagenet[0])
    records = images.Records(
        f"{builder.info.full_name} {split}",
        builder.info.file_format.value,
        file_instructions(builder, split),
        image_and_label(builder),
    )
    source = data.from_tfds("imagenet2012", split, imagenet[0])
    assert len(source) == {"train": 14}.get(split, 4)
    expected = [(source.describe(i), *source[i], "") for i in range(len(source))]
    assert_reads(records, expected)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/**/*.jpg", ["1.jpg", "a/2.jpg", "a/b/3.jpg", "b/a/b/5.jpg"]),
        ("/**/b/**/*.jpg", ["a/b/3.jpg", "b/a/b/5.jpg"]),
        ("/**/a/*.jpg", ["a/2.jpg"]),
        ("/**/**", ["1.jpg", "a/2.jpg", "a/4.png", "a/b/3.jpg", "b/a/b/5.jpg"]),
    ],
)
def test_two_stars_match_any_number_of_folders(tmp_path, pattern, expected):
    write(tmp_path, "1.jpg", "a/2.jpg", "a/4.png", "a/b/3.jpg", "b/a/b/5.jpg")
    expected = [(f"{tmp_path}/{name}", name.encode(), -1, "") for name in expected]
    assert_reads(images.files_of_pattern(f"{tmp_path}{pattern}"), expected)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("*.jpg", ["1.jpg"]), ("**/*.jpg", ["1.jpg", "a/2.jpg"])]
)
def test_a_pattern_may_begin_with_stars(tmp_path, monkeypatch, pattern, expected):
    write(tmp_path, "1.jpg", "a/2.jpg", "a/4.png")
    monkeypatch.chdir(tmp_path)
    expected = [(f"./{name}", name.encode(), -1, "") for name in expected]
    assert_reads(images.files_of_pattern(pattern), expected)


def test_what_is_no_option_is_refused():
    """A shell that replaces `*` in `--input photos/*` passes further files so."""
    with pytest.raises(ValueError, match="further arguments b.jpg, c.jpg"):
        program.beam_options(["b.jpg", "c.jpg", "--streaming"])
    with pytest.raises(ValueError, match="Received: --unknown"):
        program.beam_options(["--unknown=1"])
    options = program.beam_options(["--runner", "DirectRunner", "--experiments=a"])
    assert options.get_all_options()["experiments"] == ["a"]


def test_a_folder_of_classes_is_read_as_on_one_machine(tmp_path):
    root = tmp_path / "set"
    odd = "bee/" + os.fsdecode(b"\xff.jpg")
    write(root, "ant/1.jpg", "ant/b/2.JPEG", odd, "bee/notes.TXT", "ant/.cache/3.jpg")
    write(tmp_path, "elsewhere/4.jpg")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    source = data.from_directory(root)
    assert (len(source), source.class_names) == (4, ["ant", "bee", "cat"])
    expected = [(source.describe(i), *source[i], "") for i in range(len(source))]
    classes = images.files_of_classes(str(root), source.class_names, (".txt",))
    assert_reads(classes, expected)
    # A pattern does not follow links, unless it begins with one.
    without_labels = [(path, content, -1, "") for path, content, _, _ in expected[:3]]
    assert_reads(images.files_of_folder(str(root), (".txt",)), without_labels)
    with pytest.raises(ValueError, match=r"set\[1\]"):
        images.files_of_folder("set[1]", ())


def test_files_that_cannot_be_read_have_a_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    reason = "cannot be read: not a regular file"
    files = images.Files([f"{tmp_path}/*"])
    assert_reads(files, [(f"{tmp_path}/pipe.jpg", b"", -1, reason)])

    gone = images.fileio.ReadableFile(beam.io.filesystem.FileMetadata("gone.jpg", 0))
    _, _, label, error = images._read_file(lambda path: 7, gone)
    assert (label, error) == (7, "cannot be read: No such file or directory")


# Writing ------------------------------------------------------------------------------


def fill(folder, text):
    output.write_json(text, folder, output.TOTALS)


def test_output_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results" / "scores"
    with (
        pytest.raises(RuntimeError, match="halfway"),
        output.appearing(str(path), overwrite=False) as folder,
    ):
        fill(folder, "half")
        raise RuntimeError("halfway")
    assert not any(path.parent.iterdir())
    with output.appearing(str(path), overwrite=False) as folder:
        fill(folder, "first")
        assert not path.exists()
    assert json.loads((path / "totals.json").read_text()) == "first"

    with (
        pytest.raises(FileExistsError, match="unless --overwrite"),
        output.appearing(str(path), overwrite=False),
    ):
        pytest.fail("The pipeline would run.")
    with (
        pytest.raises(RuntimeError, match="halfway"),
        output.appearing(str(path), overwrite=True) as folder,
    ):
        raise RuntimeError("halfway")
    assert json.loads((path / "totals.json").read_text()) == "first"
    with output.appearing(str(path), overwrite=True) as folder:
        fill(folder, "second")
    assert json.loads((path / "totals.json").read_text()) == "second"
    assert [entry.name for entry in path.parent.iterdir()] == ["scores"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_replaced(tmp_path, overwrite):
    write(tmp_path, "home/letter.txt")
    with (
        pytest.raises(FileExistsError, match="contains something else"),
        output.appearing(str(tmp_path / "home"), overwrite),
    ):
        pytest.fail("The pipeline would run.")


def test_results_elsewhere_are_refused_or_removed_first(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "is_local", lambda path: False)
    path = tmp_path / "scores"
    with output.appearing(str(path), overwrite=False) as folder:
        assert folder == str(path)
        write(path, "images/part-0.parquet")
        fill(folder, "first")
    with (
        pytest.raises(FileExistsError, match="unless --overwrite"),
        output.appearing(str(path), overwrite=False),
    ):
        pytest.fail("The pipeline would run.")
    with output.appearing(str(path), overwrite=True):
        assert not [entry for entry in path.rglob("*") if entry.is_file()]


def test_totals_add_up(tmp_path):
    kinds = ["", "", "cannot be read: no disk", "cannot be read: no net", "odd"]
    rows = [{"path": str(n), "error": kind or None} for n, kind in enumerate(kinds)]
    schema = pyarrow.schema({"path": pyarrow.string(), "error": pyarrow.string()})
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        created = pipeline | beam.Create(rows)
        values = {"paths": created | beam.Map(len) | beam.combiners.ToList()}
        output.write(created, schema, values, str(tmp_path))
    assert output.read_values(values, str(tmp_path)) == {"paths": [2] * 5}
    totals = output.read_totals(str(tmp_path), seconds=2.0)
    assert totals == {
        "images": 5,
        "errors": {"cannot be read": 2, "odd": 1},
        "seconds": 2.0,
        "images_per_second": 2.5,
    }
    [path] = (tmp_path / "images").iterdir()
    table = pyarrow.parquet.read_table(path).to_pylist()
    assert sorted(table, key=lambda row: row["path"]) == rows
    assert output.describe(totals).splitlines() == [
        "5 images in 2.0 seconds (2.5 images/s), 3 errors",
        "  cannot be read: 2",
        "  odd: 1",
    ]
