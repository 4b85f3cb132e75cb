"""A file is the old one or the new one, never a part."""

import pytest

from keras_prelu.files import appear, filling, replacing


def test_replaces_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with replacing(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
        assert aside.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_keeps_the_old_file_when_the_block_raises(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def write_half():
        with replacing(path) as aside:
            aside.write_text("ne")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def write_half():
        with filling(tmp_path) as aside:
            (aside / "part").write_text("half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with filling(tmp_path) as aside:
        (aside / "inner").mkdir()
        (aside / "inner" / "part").write_text("all")
        assert not aside.name.isdigit()
        appear(aside, tmp_path / "1")
    assert (tmp_path / "1" / "inner" / "part").read_text() == "all"


def test_a_folder_that_came_first_stays(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "theirs").touch()
    with pytest.raises(OSError), filling(tmp_path) as aside:
        (aside / "mine").touch()
        appear(aside, tmp_path / "1")
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "theirs"]
