"""A file is the old one or the new one, never a part of it."""

import pytest

from keras_prelu.files import appear, filling, replacing


def test_replaces_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old", encoding="utf-8")
    with replacing(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert partial.suffix == ".txt"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_keeps_the_old_file_when_the_block_raises(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old", encoding="utf-8")

    def write_half():
        with replacing(path) as partial:
            partial.write_text("ne", encoding="utf-8")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_half()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    def write_half():
        with filling(tmp_path) as partial:
            (partial / "part").write_text("half", encoding="utf-8")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with filling(tmp_path) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "part").write_text("all", encoding="utf-8")
        assert not partial.name.isdigit()
        appear(partial, tmp_path / "1")
    assert (tmp_path / "1" / "inner" / "part").read_text(encoding="utf-8") == "all"


def test_a_folder_that_exists_already_stays(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "theirs").touch()
    with pytest.raises(OSError), filling(tmp_path) as partial:
        (partial / "mine").touch()
        appear(partial, tmp_path / "1")
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "theirs"]
