import shutil

import numpy as np
import pytest

from keras_prelu import data
from tests.data.conftest import encoded, wavy_image

WIDTH, HEIGHT = 60, 40


def pascal(*objects, size=(WIDTH, HEIGHT)):
    """Return an annotation in Pascal XML of (class, xmin, ymin, xmax, ymax[, more])."""
    parts = []
    for name, xmin, ymin, xmax, ymax, *more in objects:
        parts.append(
            f"<object><name>{name}</name>{''.join(more)}<bndbox><xmax>{xmax}</xmax>"
            f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><ymax>{ymax}</ymax></bndbox>"
            "<part><name>tail</name><bndbox><xmin>x</xmin></bndbox></part></object>"
        )
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation>{sides if size else ''}{''.join(parts)}</annotation>"


GOOD = pascal(("dog", 11, 1, 60, 40))


@pytest.fixture
def images(tmp_path):
    """Return a folder with a.jpg ... h.jpg, each with a good annotation beside it."""
    for number, name in enumerate("abcdefgh"):
        content = encoded(wavy_image(HEIGHT, WIDTH, number))
        (tmp_path / f"{name}.jpg").write_bytes(content)
        (tmp_path / f"{name}.xml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def write(folder, name, text):
    (folder / f"{name}.xml").write_text(text, encoding="utf-8")


def test_pascal_xml_beside_the_images(images):
    write(
        images,
        "b",
        pascal(
            ("dog", 1, 1, 1, 1, "<difficult>1</difficult>"),
            ("cät ", "10.5", 2, 30, 4, "<difficult>0</difficult>"),
        ),
    )
    write(images, "c", pascal())
    (images / "notes.txt").write_text("not an image", encoding="utf-8")
    source = data.from_pascal_xml(images)
    assert isinstance(source, data.AnnotatedSource)
    assert (len(source), source.class_names, source.skipped) == (8, ["cät", "dog"], {})
    assert source.describe(1) == str(images / "b.jpg")
    content, objects = source.read(1)
    assert content == (images / "b.jpg").read_bytes()
    assert objects is source.objects(1)
    expected = np.array([[0, 0, 1, 1], [9.5, 1, 30, 4]], np.float32)
    np.testing.assert_array_equal(objects.boxes, expected)
    assert objects.labels.tolist() == [1, 0]
    assert objects.difficult.tolist() == [True, False]
    assert [len(source.objects(i).boxes) for i in range(4)] == [1, 2, 0, 1]


def test_the_folders_of_voc(images, tmp_path):
    for folder, pattern in (("JPEGImages", "*.jpg"), ("Annotations", "*.xml")):
        (tmp_path / folder).mkdir()
        for path in images.glob(pattern):
            shutil.move(path, tmp_path / folder)
    source = data.from_pascal_xml(tmp_path)
    assert len(source) == 8
    assert source.describe(0) == str(tmp_path / "JPEGImages" / "a.jpg")


def test_hidden_files_are_ignored(images):
    # macOS writes such files beside those that it copies to other file systems.
    for path in list(images.iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
    source = data.from_pascal_xml(images, max_bad=0)
    assert source.paths == [str(images / f"{name}.jpg") for name in "abcdefgh"]


def test_boxes_that_reach_a_pixel_outside_are_clipped(images):
    write(images, "a", pascal(("dog", 0, 0, 61, 41)))
    objects = data.from_pascal_xml(images).objects(0)
    assert objects.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]


@pytest.mark.parametrize(
    "text, problem",
    [
        (pascal(("dog", 1, 1, 62, 4)), "object 1: the box (0, 0, 62, 4) reaches out"),
        (pascal(("dog", 5, 1, 4, 4)), "object 1: the box (4, 0, 4, 4) has no width"),
        (pascal(("dog", 0, 1, 0, 4)), "object 1: the box (0, 0, 0, 4) has no width"),
        (pascal(("dog", 1, "nan", 4, 4)), "the box (0, nan, 4, 4) is not finite"),
        (GOOD.replace("<name>dog</name>", ""), "object 1: <name> must be the name"),
        (GOOD.replace("bndbox", "box"), "object 1: <xmin> must be a number"),
        (pascal(("dog", 1, 1, "x", 4)), "<xmax> must be a number. Received: 'x'"),
        (
            pascal(("dog", 1, 1, 2, 2, "<difficult>maybe</difficult>")),
            "object 1: <difficult> must be 0 or 1. Received: 'maybe'",
        ),
        (
            pascal(("dog", 1, 1, 4, 4), ("ant", 1, 1, 4, 4)),
            "a.xml, object 2: unknown class 'ant'",
        ),
        (
            pascal(size=(120, 80)),
            "the annotation is for 120 x 80 pixels, but the image has 60 x 40",
        ),
        (GOOD[:-5], "a.xml: unclosed token"),
        ("<html></html>", "the root must be <annotation>. Received: <html>"),
        ('<?xml version="1.0" encoding="x"?><annotation/>', "a.xml: unknown encoding"),
    ],
)
def test_a_bad_annotation_is_named_and_its_image_left_out(images, text, problem):
    write(images, "a", text)
    source = data.from_pascal_xml(images, class_names=["dog"])
    assert len(source) == 7 and source.describe(0).endswith("b.jpg")
    assert list(source.skipped) == [str(images / "a.jpg")]
    assert problem in source.skipped[str(images / "a.jpg")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_not_expanded(images, encoding):
    text = (
        '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        "<annotation><object><name>&b;</name></object></annotation>"
    )
    (images / "a.xml").write_bytes(text.encode(encoding))
    source = data.from_pascal_xml(images)
    assert source.skipped == {str(images / "a.jpg"): "a.xml: a DOCTYPE is not allowed"}


def test_all_bad_annotations_are_named_past_the_quota(images):
    write(images, "a", pascal(("dog", 1, 1, 99, 4), ("dog", 3, 1, 2, 4)))
    (images / "b.xml").unlink()
    (images / "c.jpg").unlink()
    (images / "d.jpg").write_bytes(b"torn")
    (images / "e.png").write_bytes((images / "e.jpg").read_bytes())
    with pytest.raises(data.TooManyBadImagesError) as error:
        data.from_pascal_xml(images, max_bad=4)
    lines = str(error.value).splitlines()
    assert lines[0] == "5 images cannot be used; `max_bad` allows 4 of 3:"
    assert [line.strip().removeprefix(f"{images}/") for line in lines[1:]] == [
        "a.jpg: a.xml, object 1: the box (0, 0, 99, 4) reaches outside the image of "
        "60 x 40 pixels; a.xml, object 2: the box (2, 0, 2, 4) has no width",
        "b.jpg: has no annotation b.xml",
        "c.xml: has no image",
        "d.jpg: not an image in JPEG, PNG, GIF, BMP, WEBP",
        "e.jpg: several images have this name: e.jpg, e.png",
    ]
    source = data.from_pascal_xml(images, max_bad=5)
    assert len(source) == 3
    with pytest.raises(data.TooManyBadImagesError, match="6 images"):
        source.skip(0, "torn")  # annotations and images share one quota


def test_a_folder_without_usable_images_is_refused(tmp_path):
    with pytest.raises(NotADirectoryError, match="Received: path="):
        data.from_pascal_xml(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="with 0 images"):
        data.from_pascal_xml(tmp_path)


def test_fingerprints_include_the_annotations_but_not_the_folder(images, tmp_path):
    before = data.from_pascal_xml(images).fingerprint()
    copy = shutil.copytree(images, tmp_path / "copy")
    assert data.from_pascal_xml(copy).fingerprint() == before
    for text in (
        pascal(("dog", 12, 1, 60, 40)),
        pascal(("dog", 11, 1, 60, 40, "<difficult>1</difficult>")),
    ):
        write(copy, "h", text)
        after = data.from_pascal_xml(copy).fingerprint()
        changes = data.differences(before, after)
        assert len(changes) == 1 and changes[0].startswith("annotations: ")
    (copy / "h.jpg").rename(copy / "i.jpg")
    write(copy, "i", GOOD)
    (copy / "h.xml").unlink()
    changes = data.differences(before, data.from_pascal_xml(copy).fingerprint())
    assert len(changes) == 1 and changes[0].startswith("files: ")


HEADER = "image,xmin,ymin,xmax,ymax,class,difficult\n"


def boxes_csv(folder, *lines, header=HEADER):
    path = folder / "boxes.csv"
    path.write_text(header + "\n".join(lines), encoding="utf-8")
    return path


def test_boxes_in_a_csv_file_are_edges_that_count_from_0(images):
    path = boxes_csv(
        images,
        "b.jpg,0,0,60,40,dog,",
        "a.jpg,1.5,2,30,4,cat,1",
        "b.jpg,5,6,7,8, ant ,0",
        "c.jpg,,,,,,",
    )
    source = data.from_boxes_csv(path)
    assert source.class_names == ["ant", "cat", "dog"]
    assert [source.describe(i)[-5:] for i in range(3)] == ["b.jpg", "a.jpg", "c.jpg"]
    objects = source.objects(0)
    assert objects.boxes.tolist() == [[0, 0, 60, 40], [5, 6, 7, 8]]
    assert objects.labels.tolist() == [2, 0]
    assert source.objects(1).boxes.tolist() == [[1.5, 2, 30, 4]]
    assert source.objects(1).difficult.tolist() == [True]
    assert source.objects(2).boxes.shape == (0, 4)
    assert source.read(1)[0] == (images / "a.jpg").read_bytes()


def test_the_images_of_a_csv_file_can_be_elsewhere(images, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    header = "class,note,ymax,xmax,ymin,xmin,image\n"
    path = boxes_csv(
        tmp_path / "elsewhere", "dog,,4,3,2,1,a.jpg", header="\ufeff" + header
    )
    source = data.from_boxes_csv(path, images)
    assert source.objects(0).boxes.tolist() == [[1, 2, 3, 4]]
    assert not source.objects(0).difficult.any()


@pytest.mark.parametrize("other", ["./a.jpg", ".//a.jpg", "{images}/a.jpg"])
def test_the_same_image_in_other_words_is_one_image(images, other):
    path = boxes_csv(
        images, "a.jpg,0,0,60,40,dog,", f"{other.format(images=images)},5,6,7,8,cat,"
    )
    source = data.from_boxes_csv(path)
    assert source.paths == [str(images / "a.jpg")]
    assert source.objects(0).boxes.tolist() == [[0, 0, 60, 40], [5, 6, 7, 8]]


def test_bad_lines_are_named(images):
    path = boxes_csv(
        images,
        "a.jpg,0,0,62,40,dog,",
        "b.jpg,5,0,5,40,dog,",
        "c.jpg,5,0,,40,dog,",
        "d.jpg,5,0,6,40,dog,,more",
        "e.jpg,5,0,6",
        "missing.jpg,0,0,6,40,dog,",
        ",0,0,6,40,dog,",
        "f.jpg,0,0,6,40,cow,2",
        "g.jpg,0,0,6,40,cow,",
        "g.jpg,0,0,6,40,,",
        "h.jpg,0,0,6,40,dog,",
    )
    source = data.from_boxes_csv(path, class_names=["dog"], max_bad=9)
    assert len(source) == 1
    assert {
        name.removeprefix(f"{images}/"): r for name, r in source.skipped.items()
    } == {
        "a.jpg": "boxes.csv, line 2: the box (0, 0, 62, 40) reaches outside the image "
        "of 60 x 40 pixels",
        "b.jpg": "boxes.csv, line 3: the box (5, 0, 5, 40) has no width",
        "c.jpg": "boxes.csv, line 4: xmax must be a number. Received: ''",
        "d.jpg": "boxes.csv, line 5: has 1 values more than columns",
        "e.jpg": "boxes.csv, line 6: ymax must be a number. Received: None",
        "missing.jpg": "cannot be read: No such file or directory",
        "boxes.csv, line 8": "names no image",
        "f.jpg": "boxes.csv, line 9: difficult must be 0 or 1. Received: '2'",
        "g.jpg": "boxes.csv, line 11: class must be the name of a class. Received: ''; "
        "boxes.csv, line 10: unknown class 'cow'",
    }
    with pytest.raises(data.TooManyBadImagesError, match="9 images"):
        data.from_boxes_csv(path, class_names=["dog"], max_bad=8)


@pytest.mark.parametrize("names", ["dog", ["dog", 2]])
def test_class_names_that_are_no_strings_are_refused(images, names):
    path = boxes_csv(images, "a.jpg,5,0,6,40,dog,")
    for read in (data.from_pascal_xml, data.from_boxes_csv):
        with pytest.raises(ValueError, match="list of strings.*Received: class_names="):
            read(path if read is data.from_boxes_csv else images, class_names=names)


def test_a_file_that_is_not_such_a_csv_is_refused(images):
    path = boxes_csv(images, header="image,x1\n")
    with pytest.raises(ValueError, match=r"with the columns \['image', 'x1'\]"):
        data.from_boxes_csv(path)
    with pytest.raises(ValueError, match="must be a CSV file"):
        data.from_boxes_csv(images / "a.jpg")
    with pytest.raises(ValueError, match="with 0 images"):
        data.from_boxes_csv(boxes_csv(images))


def test_a_changed_csv_changes_the_fingerprint(images):
    fingerprints = [
        data.from_boxes_csv(boxes_csv(images, line)).fingerprint()
        for line in ("a.jpg,0,0,6,40,dog,", "a.jpg,0,0,6,39.5,dog,")
    ]
    changes = data.differences(*fingerprints)
    assert len(changes) == 1 and changes[0].startswith("annotations: ")
