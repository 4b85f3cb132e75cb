"""Sources of images from datasets that TensorFlow Datasets has prepared."""

from typing import Any

import tensorflow_datasets as tfds

from keras_prelu.data.sources import Source
from keras_prelu.data.tfds_records import TfdsRecords, prepared_builder
from keras_prelu.types import PathLike

__all__ = ["TfdsSource", "from_tfds", "image_and_label"]


def from_tfds(
    name: str,
    split: str,
    data_dir: PathLike | None = None,
    max_bad: int | None = None,
) -> "TfdsSource":
    """Return the images of a dataset of TensorFlow Datasets.

    If the dataset is not prepared yet, it is downloaded and prepared as ArrayRecord
    files first. For `imagenet2012`, put `ILSVRC2012_img_train.tar` and
    `ILSVRC2012_img_val.tar` into `downloads/manual` in `data_dir` before; see the guide
    to the data. Images are read by position, in any order. ArrayRecord files contain an
    index. For TFRecord files the index is built when a file is first used, from the
    lengths of its records.

    Args:
        name: A dataset of images with one label each, optionally with configuration
            and version, as TFDS writes them (`"name/config:1.0.0"`).
        split: A split as TFDS writes it, for example `"train"` or `"train[:90%]"`.
        data_dir: Folder of prepared datasets. Defaults to TFDS's own default.
        max_bad: See `Source`.

    Returns:
        A `Source`.

    Examples:
        >>> from_tfds("imagenet2012", "train")  # doctest: +SKIP
    """
    return TfdsSource(prepared_builder(name, data_dir), split, max_bad)


class TfdsSource(Source):
    """A source of the images in the files of a prepared TFDS builder.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
        split: A split as TFDS writes it.
        max_bad: See `Source`.
    """

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        max_bad: int | None = None,
    ) -> None:
        self._image, self._label = image_and_label(builder)
        super().__init__(builder.info.features[self._label].names, max_bad)
        self._records = TfdsRecords(builder, split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        feature = self._records.features(index)
        return (
            feature[self._image].bytes_list.value[0],
            feature[self._label].int64_list.value[0],
        )

    def describe(self, index: int) -> str:
        """Return dataset, split and position, and the name of the file if known."""
        return self._records.describe(index)

    def fingerprint(self) -> dict[str, Any]:
        """Return the fingerprint of `Source`, with the builder and the split."""
        return {**super().fingerprint(), **self._records.fingerprint()}


def image_and_label(builder: tfds.core.DatasetBuilder) -> tuple[str, str]:
    """Return the names of a dataset's features for the image and its label.

    Args:
        builder: A `tfds.core.DatasetBuilder`.
    """
    keys = builder.info.supervised_keys
    features = builder.info.features
    if (
        keys is None
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(
            "Argument `name` must be a dataset of images with one class label each. "
            f"Received: name={builder.info.full_name}, supervised_keys={keys}"
        )
    return keys[:2]
