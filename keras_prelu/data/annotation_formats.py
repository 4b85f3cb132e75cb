"""Readers of annotations: Pascal XML, one file per image, and CSV, one line per box.

What is wrong with an annotation is collected, with its place in the file, so that all
of it can be reported at once.
"""

import csv
import dataclasses
import pathlib
from typing import NamedTuple
from xml.etree import ElementTree

from keras_prelu.data.file_source import read_file

__all__ = ["COLUMNS", "Annotation", "Box", "read_csv", "read_xml"]

COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax", "class")

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_TRUTHS = {"": False, "0": False, "false": False, "1": True, "true": True}


class Box(NamedTuple):
    """A box as the rest of this package counts, and its place in the file."""

    where: str
    edges: tuple[float, float, float, float]
    class_name: str
    difficult: bool


@dataclasses.dataclass
class Annotation:
    """What is known about an image.

    Attributes:
        name: The path of the image, or where it should be named.
        image: The path of the image, or `None`.
        size: Width and height that the annotation states, or `None`.
        boxes: The boxes that could be read.
        problems: What is wrong, and where.
    """

    name: str
    image: pathlib.Path | None = None
    size: tuple[float, float] | None = None
    boxes: list[Box] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


def read_xml(path: pathlib.Path, annotation: Annotation) -> None:
    """Add what a file in Pascal XML says about an image.

    Args:
        path: The file.
        annotation: The `Annotation` to complete.
    """
    try:
        root = _root(read_file(str(path)))
        annotation.size = _stated_size(root)
    except (OSError, ValueError, LookupError, ElementTree.ParseError) as error:
        annotation.problems.append(f"{path.name}: {error}")
        return
    for position, element in enumerate(root.findall("object"), start=1):
        where = f"{path.name}, object {position}"
        try:
            xmin, ymin, xmax, ymax = (
                _number(f"<{edge}>", element.findtext(f"bndbox/{edge}"))
                for edge in _EDGES
            )
            # VOC counts pixels from 1 and includes the last one.
            edges = (xmin - 1, ymin - 1, xmax, ymax)
            name = _class_name("<name>", element.findtext("name"))
            difficult = _truth("<difficult>", element.findtext("difficult"))
        except ValueError as error:
            annotation.problems.append(f"{where}: {error}")
        else:
            annotation.boxes.append(Box(where, edges, name, difficult))


def _root(data):
    # A document type can define entities that grow without limit or read other files.
    # Without zero bytes, this recognizes it in every encoding that the parser accepts.
    if b"<!DOCTYPE" in data.replace(b"\0", b""):
        raise ValueError("a DOCTYPE is not allowed")
    root = ElementTree.fromstring(data)  # noqa: S314
    if root.tag != "annotation":
        raise ValueError(f"the root must be <annotation>. Received: <{root.tag}>")
    return root


def _stated_size(root):
    """Return (width, height), or None if they are missing or 0."""
    width, height = (
        _number(f"<{side}>", root.findtext(f"size/{side}", "0"))
        for side in ("width", "height")
    )
    return (width, height) if width and height else None


def read_csv(path: pathlib.Path, images: pathlib.Path) -> list[Annotation]:
    """Return what a CSV file says about each image, in the order of the file.

    Args:
        path: The file.
        images: The folder that the paths of the images are relative to.

    Raises:
        ValueError: If it is not a CSV file with the columns.
    """
    expected = f"Argument `path` must be a CSV file with the columns {list(COLUMNS)}."
    annotations: dict[str, Annotation] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = list(reader.fieldnames or [])
            if not set(COLUMNS) <= set(columns):
                raise ValueError(
                    f"{expected} Received: path={path}, with the columns {columns}"
                )
            for row in reader:
                where = f"{path.name}, line {reader.line_num}"
                _add_row(annotations, images, row, where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{expected} Received: path={path}, {error}") from error
    return list(annotations.values())


def _add_row(annotations, images, row, where):
    name = row["image"]
    if not name:
        annotations[where] = Annotation(where, problems=["names no image"])
        return
    image = images / name
    # pathlib writes `./a.jpg` as `a.jpg`. It keeps `..`, which may follow a link.
    annotation = annotations.setdefault(str(image), Annotation(str(image), image))
    if not any(row[column] for column in COLUMNS[1:]):
        return  # an image without objects
    try:
        if None in row:
            raise ValueError(f"has {len(row[None])} values more than columns")
        edges = tuple(_number(edge, row[edge]) for edge in _EDGES)
        class_name = _class_name("class", row["class"])
        difficult = _truth("difficult", row.get("difficult"))
    except ValueError as error:
        annotation.problems.append(f"{where}: {error}")
    else:
        annotation.boxes.append(Box(where, edges, class_name, difficult))


def _number(field, text):
    try:
        return float(text)
    except (TypeError, ValueError):
        raise ValueError(f"{field} must be a number. Received: {text!r}") from None


def _class_name(field, text):
    name = (text or "").strip()
    if not name:
        raise ValueError(f"{field} must be the name of a class. Received: {text!r}")
    return name


def _truth(field, text):
    truth = _TRUTHS.get((text or "").strip().lower())
    if truth is None:
        raise ValueError(f"{field} must be 0 or 1. Received: {text!r}")
    return truth
