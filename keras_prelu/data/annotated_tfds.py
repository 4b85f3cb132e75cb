"""Sources of annotated images from datasets that TensorFlow Datasets has prepared."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_prelu.data.annotations import AnnotatedSource, Objects, as_objects
from keras_prelu.data.decoding import BadImageError, read_header
from keras_prelu.data.tfds_records import TfdsRecords

__all__ = ["AnnotatedTfdsSource"]


class AnnotatedTfdsSource(AnnotatedSource):
    """A source of the annotated images in the files of a prepared TFDS builder.

    Images are in the feature `"image"`, and objects in the feature `"objects"` with
    `"bbox"`, `"label"` and `"is_difficult"`.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        split: A split as TFDS writes it.
        first_pixel: The number of the first pixel in the annotations. 0 if boxes are
            positions of edges, 1 if they are numbers of the first and last pixels, as
            in PASCAL VOC. Defaults to 0.
        file_name: Name of the feature that has the name of the image's file.
        max_bad: See `Source`.
    """

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        first_pixel: int = 0,
        file_name: str = "file_name",
        max_bad: int | None = None,
    ) -> None:
        class_names = builder.info.features["objects"]["label"].names
        super().__init__(class_names, max_bad)
        self._records = TfdsRecords(builder, split, file_name)
        self._first_pixel = first_pixel

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[bytes, Objects]:
        feature = self._records.features(index)
        data = feature["image"].bytes_list.value[0]
        try:
            boxes = _pixels(feature["objects/bbox"].float_list.value, data)
        except BadImageError:
            # Without a size there are no boxes in pixels. The decoder skips and counts
            # the image.
            return data, as_objects([], [], [])
        return data, as_objects(
            boxes - [self._first_pixel, self._first_pixel, 0, 0],
            feature["objects/label"].int64_list.value,
            feature["objects/is_difficult"].int64_list.value,
        )

    def describe(self, index: int) -> str:
        """Return dataset, split and position, and the name of the file if known."""
        return self._records.describe(index)

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of `Source`, with the builder and the split."""
        return {**super().fingerprint(), **self._records.fingerprint()}


def _pixels(relative, data):
    """Return (x1, y1, x2, y2) in pixels of (y1, x1, y2, x2) relative to the sides.

    TFDS keeps float32, which is exact to a thousandth of a pixel. Rounded to that,
    integers are integers again.
    """
    header = read_header(data)
    sides = np.array([header.height, header.width] * 2)
    boxes = np.asarray(relative, np.float64).reshape(-1, 4) * sides
    return np.round(boxes, 3)[:, [1, 0, 3, 2]]
