"""PASCAL VOC 2007 and 2012, prepared by the builder of TensorFlow Datasets."""

import tensorflow_datasets as tfds

from keras_prelu.data.annotated_tfds import AnnotatedTfdsSource
from keras_prelu.data.tfds_records import prepared_builder
from keras_prelu.types import PathLike

__all__ = ["voc"]

# The names of the splits in TFDS, by our names.
_SPLITS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "trainval": "train+validation",
    "test": "test",
}
_TARS = {
    "2007": ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"),
    "2012": ("VOCtrainval_11-May-2012.tar", "VOC2012test.tar"),
}


def voc(
    year: str = "2007", split: str = "trainval", data_dir: PathLike | None = None
) -> AnnotatedTfdsSource:
    """Return the annotated images of PASCAL VOC, 20 classes.

    On first use TFDS downloads and prepares the dataset. If the download server is
    down, put the two tar files of the year into `downloads/manual` in `data_dir`; see
    the guide to the data. VOC counts pixels from 1 and includes the last one. Boxes
    are converted: `xmin - 1`, `ymin - 1`, `xmax`, `ymax`.

    Args:
        year: `"2007"` or `"2012"`.
        split: `"train"`, `"validation"` (also called `"val"`), `"trainval"`, which is
            both, or `"test"`. The test split of 2012 has no published annotations.
        data_dir: Folder of prepared datasets. Defaults to TFDS's own default.

    Returns:
        An `AnnotatedSource`.

    Raises:
        FileNotFoundError: If the dataset is not prepared and cannot be downloaded.

    Examples:
        >>> source = voc("2007", "test")  # doctest: +SKIP
        >>> len(source), len(source.class_names)  # doctest: +SKIP
        (4952, 20)
    """
    year = str(year)
    if year not in _TARS:
        raise ValueError(
            f"Argument `year` must be one of {sorted(_TARS)}. Received: year={year}"
        )
    if split not in _SPLITS:
        raise ValueError(
            f"Argument `split` must be one of {list(_SPLITS)}. Received: split={split}"
        )
    if (year, split) == ("2012", "test"):
        raise ValueError(
            "Argument `split` must be 'train', 'validation' or 'trainval' for 2012, "
            f"whose test images have no annotations. Received: split={split}"
        )
    return AnnotatedTfdsSource(
        _builder(year, data_dir), _SPLITS[split], 1, file_name="image/filename"
    )


def _builder(year, data_dir):
    try:
        return prepared_builder(f"voc/{year}", data_dir)
    except (OSError, tfds.download.DownloadError) as error:
        root = tfds.builder(f"voc/{year}", data_dir=data_dir).data_dir_root
        raise FileNotFoundError(
            f"VOC {year} could not be downloaded and prepared: {error}. If the server "
            f"is down, put {' and '.join(_TARS[year])} into {root / 'downloads/manual'}"
            f"; see docs/guides/data.md. Received: data_dir={data_dir}"
        ) from error
