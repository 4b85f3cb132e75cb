"""Sources of annotated images in files: Pascal XML, or one CSV file of boxes."""

import os
import pathlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_prelu.class_names import checked_class_names
from keras_prelu.data.annotation_formats import Annotation, read_csv, read_xml
from keras_prelu.data.annotations import (
    AnnotatedSource,
    Objects,
    as_objects,
    box_error,
    digest_of_objects,
)
from keras_prelu.data.decoding import read_header
from keras_prelu.data.file_source import (
    TEXT_FILES,
    printable,
    read_file,
    relative_names,
)
from keras_prelu.data.fingerprints import digest
from keras_prelu.types import PathLike

__all__ = ["AnnotatedFiles", "from_boxes_csv", "from_pascal_xml"]

# Programs that count pixels differently write boxes that reach a pixel outside.
_TOLERANCE = 1.0
_THREADS = 8


class AnnotatedFiles(AnnotatedSource):
    """A source of annotated images in files.

    It is returned by `from_pascal_xml` and `from_boxes_csv`.

    Args:
        paths: Paths of the images.
        objects: `Objects`, one for each image.
        class_names: Names of the classes.
        max_bad: See `Source`.

    Attributes:
        paths: Paths of the images, as strings.
    """

    def __init__(
        self,
        paths: Iterable[PathLike],
        objects: Iterable[Objects],
        class_names: Iterable[str],
        max_bad: int | None = None,
    ) -> None:
        super().__init__(class_names, max_bad)
        self.paths = [os.fspath(path) for path in paths]
        self._objects = list(objects)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[bytes, Objects]:
        return read_file(self.paths[index]), self._objects[index]

    def objects(self, index: int) -> Objects:
        """Return the objects of an image without reading its file.

        Args:
            index: Position of the image.
        """
        return self._objects[index]

    def describe(self, index: int) -> str:
        """Return the path of an image, in printable characters."""
        return printable(self.paths[index])

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of `Source`, with digests of names and annotations."""
        names = digest(relative_names(self.paths))
        return {
            **super().fingerprint(),
            "files": f"{len(self)} files, names {names}",
            "annotations": digest_of_objects(self._objects),
        }


def from_pascal_xml(
    path: PathLike,
    class_names: Sequence[str] | None = None,
    max_bad: int | None = None,
) -> AnnotatedFiles:
    """Return images with annotations in Pascal XML, as VOC and many programs write it.

    The folder contains images and XML files, or the folders `JPEGImages` and
    `Annotations` of VOC. An image and its annotation have the same name, up to the
    extension. An image without objects needs an XML file without objects. Hidden files
    are ignored.

    Coordinates are read as VOC writes them: pixels are counted from 1, and the last one
    is part of the box. Boxes may reach one pixel outside the image, as happens if a
    program counts from 0, and are clipped.

    All annotations and the headers of all images are read here. An image is left out
    and counted in `source.skipped` if it has no annotation, or if any of its objects
    cannot be used.

    Args:
        path: The folder.
        class_names: A list of strings. Objects of other classes are errors. Defaults to
            all classes that occur, sorted.
        max_bad: See `Source`. Images with bad annotations count as bad images do.

    Returns:
        An `AnnotatedSource`.

    Raises:
        NotADirectoryError: If `path` is not a folder.
        ValueError: If there are no images that can be used.
        TooManyBadImagesError: If more than `max_bad` images cannot be used. The message
            names all of them, with file and object.

    Examples:
        >>> xml = '''<annotation><object><name>cat</name><bndbox>
        ...   <xmin>11</xmin><ymin>1</ymin><xmax>50</xmax><ymax>40</ymax>
        ... </bndbox></object></annotation>'''
        >>> for i in range(4):
        ...     _ = pathlib.Path(f"photos/cat/{i}.xml").write_text(xml)
        >>> source = from_pascal_xml("photos/cat")
        >>> len(source), source.class_names, source.objects(0).boxes.tolist()
        (4, ['cat'], [[10.0, 0.0, 50.0, 40.0]])
    """
    root = pathlib.Path(path)
    if not root.is_dir():
        raise NotADirectoryError(
            "Argument `path` must be a folder of images and XML files. "
            f"Received: path={path}"
        )
    is_voc = (root / "JPEGImages").is_dir() and (root / "Annotations").is_dir()
    images, files = _images_and_xml(
        [root / "JPEGImages", root / "Annotations"] if is_voc else [root]
    )
    annotations = [
        _annotation(stem, images.get(stem, []), files.get(stem))
        for stem in sorted({*images, *files})
    ]
    return _source(path, annotations, class_names, max_bad)


def from_boxes_csv(
    path: PathLike,
    images: PathLike | None = None,
    class_names: Sequence[str] | None = None,
    max_bad: int | None = None,
) -> AnnotatedFiles:
    """Return images whose boxes are in a CSV file, with one line per box.

    The first line names the columns: `image`, `xmin`, `ymin`, `xmax`, `ymax`, `class`,
    and optionally `difficult` (0 or 1). Other columns are ignored. Boxes are positions
    of edges in pixels: they count from 0, and `xmax - xmin` is the width. The box of a
    whole image is `0,0,width,height`. Boxes may reach one pixel outside, and are
    clipped. A line with nothing but an image stands for an image without objects.

    All annotations and the headers of all images are read here. An image is left out
    and counted in `source.skipped` if any of its objects cannot be used.

    Args:
        path: The CSV file, in UTF-8.
        images: The folder that the paths in the column `image` are relative to.
            Defaults to the folder of the CSV file.
        class_names: A list of strings. Objects of other classes are errors. Defaults to
            all classes that occur, sorted.
        max_bad: See `Source`. Images with bad annotations count as bad images do.

    Returns:
        An `AnnotatedSource`, in the order of the file.

    Raises:
        ValueError: If columns are missing, or no image can be used.
        TooManyBadImagesError: If more than `max_bad` images cannot be used. The message
            names all of them, with file and line.

    Examples:
        >>> _ = pathlib.Path("photos/boxes.csv").write_text(
        ...     "image,xmin,ymin,xmax,ymax,class\\n"
        ...     "dog/0.jpg,10,0,50,40,dog\\n"
        ...     "dog/0.jpg,60,5,80,30,ball\\n"
        ...     "dog/1.jpg,,,,,\\n")
        >>> source = from_boxes_csv("photos/boxes.csv")
        >>> len(source), source.class_names, source.objects(0).labels.tolist()
        (2, ['ball', 'dog'], [1, 0])
    """
    folder = pathlib.Path(path).parent if images is None else pathlib.Path(images)
    annotations = read_csv(pathlib.Path(path), folder)
    return _source(path, annotations, class_names, max_bad)


def _images_and_xml(folders):
    """Return two dicts from the stems of names: to the images, and to the XML file."""
    images, files = {}, {}
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = path.suffix.lower()
        if suffix == ".xml":
            files[path.stem] = path
        elif suffix not in TEXT_FILES and path.is_file():
            images.setdefault(path.stem, []).append(path)
    return images, files


def _annotation(stem, images, file):
    if not images:
        return Annotation(str(file), problems=["has no image"])
    annotation = Annotation(str(images[0]), images[0])
    if len(images) > 1:
        names = ", ".join(image.name for image in images)
        annotation.problems.append(f"several images have this name: {names}")
    if file is None:
        annotation.problems.append(f"has no annotation {stem}.xml")
    else:
        read_xml(file, annotation)
    return annotation


def _source(path, annotations, class_names, max_bad):
    """Return the images without problems. Count, or report, those that have some."""
    if class_names is not None:
        class_names = checked_class_names(class_names)
    with ThreadPoolExecutor(_THREADS) as pool:
        sizes = list(pool.map(_actual_size, annotations))
    for annotation, size in zip(annotations, sizes, strict=True):
        annotation.problems += _problems(annotation, size, class_names)
    good = [
        (annotation, size)
        for annotation, size in zip(annotations, sizes, strict=True)
        if not annotation.problems
    ]
    if class_names is None:
        class_names = sorted({box.class_name for a, _ in good for box in a.boxes})
    source = AnnotatedFiles(
        [annotation.image for annotation, _ in good],
        [_objects(annotation, size, class_names) for annotation, size in good],
        class_names,
        max_bad,
    )
    source._skip_all(
        {printable(a.name): "; ".join(a.problems) for a in annotations if a.problems}
    )
    if not good or not class_names:
        raise ValueError(
            "Argument `path` must have an annotated object in an image that can be "
            f"used. Received: path={path}, with {len(annotations)} images"
        )
    return source


def _actual_size(annotation):
    """Return (width, height) of the upright image. Note why there is none."""
    if annotation.image is None:
        return None
    try:
        header = read_header(read_file(str(annotation.image)))
    except OSError as error:
        annotation.problems.append(f"cannot be read: {error.strerror or error}")
    except ValueError as error:
        annotation.problems.append(str(error))
    else:
        return header.width, header.height
    return None


def _problems(annotation, size, class_names):
    """Yield what is wrong with the size, the boxes and the classes of an annotation."""
    if size and annotation.size and size != annotation.size:
        stated, actual = (
            "{:g} x {:g}".format(*sides) for sides in (annotation.size, size)
        )
        yield f"the annotation is for {stated} pixels, but the image has {actual}"
    for box in annotation.boxes:
        error = box_error(box.edges, size, _TOLERANCE)
        if not error and size:  # without area if all of it is outside
            error = box_error(_clipped(box.edges, size), size)
        if error:
            yield f"{box.where}: {error}"
        if class_names is not None and box.class_name not in class_names:
            yield f"{box.where}: unknown class {box.class_name!r}"


def _objects(annotation, size, class_names):
    positions = {name: position for position, name in enumerate(class_names)}
    return as_objects(
        [_clipped(box.edges, size) for box in annotation.boxes],
        [positions[box.class_name] for box in annotation.boxes],
        [box.difficult for box in annotation.boxes],
    )


def _clipped(edges, size):
    return np.clip(edges, 0, size * 2)
