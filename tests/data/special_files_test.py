"""Files in a folder that are not images: links, pipes, sockets, odd names."""

import os
import socket
import threading

import pytest

from keras_prelu import data
from tests.data.conftest import encoded, wavy_image

SIZE = {"image_size": 32, "scale": 40}


def _image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(wavy_image(50, 60)))
    return path


def _names(source, root):
    return [os.path.relpath(path, root) for path in source.paths]


def _within(seconds, function):
    """Return the result of a function, or fail if it waits for ever."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive()
    return results[0]


@pytest.fixture
def special(tmp_path, monkeypatch):
    """Make a class folder with an image, a pipe, a socket and a link to a device."""
    folder = _image(tmp_path / "set" / "ant" / "1.jpg").parent
    os.mkfifo(folder / "pipe.jpg")
    (folder / "null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener, monkeypatch.context() as here:
        here.chdir(folder)  # the name of a socket must be short
        listener.bind("socket.jpg")
        yield folder


def test_only_regular_files_are_images(special, caplog):
    source = data.from_directory(special.parent)
    assert source.paths == [str(special / "1.jpg")]
    [line] = caplog.messages
    for name in ("pipe.jpg", "socket.jpg", "null.jpg"):
        assert str(special / name) in line


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    "name, reason",
    [
        ("pipe.jpg", "is not a regular file"),
        ("null.jpg", "is not a regular file"),
        ("socket.jpg", "cannot be read: No such device or address"),
        (".", "cannot be read: Is a directory"),
        ("gone.jpg", "cannot be read: No such file or directory"),
    ],
)
def test_files_that_are_not_regular_are_refused_without_waiting(special, name, reason):
    paths = [special / "1.jpg", special / name]
    source = data.from_files(paths, [0, 0], ["ant"])

    def refusals():
        with pytest.raises(data.UnreadableImageError) as of_reading:
            source.read(1)
        with pytest.raises(data.UnreadableImageError) as of_batch:  # noqa: SIM117
            with data.original_errors():
                list(data.eval_batches(source, 2, **SIZE))
        [bad] = data.check(source, verbose=False)
        return str(of_reading.value), str(of_batch.value), bad.reason

    assert set(_within(30, refusals)) == {f"{paths[1]} {reason}"}


def test_a_link_is_followed_if_it_stays_in_its_class_folder(tmp_path, caplog):
    _image(tmp_path / "store" / "x" / "1.jpg")
    _image(tmp_path / "set" / "ant" / "2.jpg")
    _image(tmp_path / "set" / "ant-eater" / "3.jpg")
    ant = tmp_path / "set" / "ant"
    (ant / "again.jpg").symlink_to("2.jpg")
    (ant / "loop").symlink_to(ant)
    (ant / "circle").symlink_to(ant / "circle")
    (ant / "nowhere.jpg").symlink_to(ant / "0.jpg")
    (ant / "file.jpg").symlink_to(tmp_path / "store" / "x" / "1.jpg")
    (ant / "folder").symlink_to(tmp_path / "store")
    (ant / "other_class.jpg").symlink_to("../ant-eater/3.jpg")
    # A class folder itself may be a link.
    (tmp_path / "set" / "bee").symlink_to(tmp_path / "store")
    source = data.from_directory(tmp_path / "set")
    assert _names(source, tmp_path / "set") == [
        "ant/2.jpg",
        "ant/again.jpg",
        "ant-eater/3.jpg",
        "bee/x/1.jpg",
    ]
    [line] = caplog.messages
    names = ("circle", "file.jpg", "folder", "nowhere.jpg", "other_class.jpg")
    assert line.endswith(": " + ", ".join(str(ant / name) for name in names))


def test_a_class_of_links_to_the_outside_is_refused(tmp_path, caplog):
    image = _image(tmp_path / "store" / "1.jpg")
    ant = tmp_path / "set" / "ant"
    ant.mkdir(parents=True)
    for number in range(8):
        (ant / f"{number}.jpg").symlink_to(image)
    with pytest.raises(ValueError, match="ant has no images"):
        data.from_directory(tmp_path / "set")
    assert caplog.messages[0].endswith("4.jpg and 3 more")


def test_a_class_name_that_cannot_be_written_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102
    with pytest.raises(ValueError, match=r"are valid UTF-8.*'caf\\udce9'"):
        data.from_directory(tmp_path)


@pytest.mark.tensorflow_only
def test_a_file_name_that_cannot_be_printed_is_escaped(tmp_path):
    (tmp_path / "ant").mkdir()
    with open(os.fsencode(tmp_path) + b"/ant/caf\xe9.jpg", "wb") as file:  # noqa: PTH123
        file.write(b"torn")
    source = data.from_directory(tmp_path, max_bad=0)
    assert str(data.check(source, verbose=False)).encode()
    with pytest.raises(data.TooManyBadImagesError, match=r"caf\\xe9\.jpg: not a"):  # noqa: SIM117
        with data.original_errors():
            list(data.eval_batches(source, 2, **SIZE))
