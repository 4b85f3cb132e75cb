"""Sources of labeled images, the paper's augmentation, and batches."""

from typing import TYPE_CHECKING

from keras_prelu import on_use
from keras_prelu.data.annotations import AnnotatedSource, AnnotatedSubset, Objects
from keras_prelu.data.augmentation import Augmentation, augmented
from keras_prelu.data.color import (
    IMAGENET_COMPONENTS,
    ColorComponents,
    color_components,
)
from keras_prelu.data.errors import (
    DataError,
    TooManyBadImagesError,
    UnreadableImageError,
    original_errors,
)
from keras_prelu.data.file_source import from_directory, from_files
from keras_prelu.data.fingerprints import differences
from keras_prelu.data.sources import Source, Subset, split

if TYPE_CHECKING:
    from keras_prelu.data.annotated_files import from_boxes_csv, from_pascal_xml
    from keras_prelu.data.bad_images import check
    from keras_prelu.data.evaluation_batches import eval_batches
    from keras_prelu.data.numpy_batches import NumpyBatches
    from keras_prelu.data.scenes_dataset import scenes
    from keras_prelu.data.shapes_dataset import shapes
    from keras_prelu.data.tfds_source import from_tfds
    from keras_prelu.data.training_batches import steps_per_epoch, train_batches
    from keras_prelu.data.voc_dataset import voc

__all__ = [
    "IMAGENET_COMPONENTS",
    "AnnotatedSource",
    "AnnotatedSubset",
    "Augmentation",
    "ColorComponents",
    "DataError",
    "NumpyBatches",
    "Objects",
    "Source",
    "Subset",
    "TooManyBadImagesError",
    "UnreadableImageError",
    "augmented",
    "check",
    "color_components",
    "differences",
    "eval_batches",
    "from_boxes_csv",
    "from_directory",
    "from_files",
    "from_pascal_xml",
    "from_tfds",
    "original_errors",
    "scenes",
    "shapes",
    "split",
    "steps_per_epoch",
    "train_batches",
    "voc",
]

# The first module needs the parser of XML, the next four are a program and the readers
# of batches, and the others need TensorFlow Datasets.
__getattr__, __dir__ = on_use.attach(
    __name__,
    names={
        "annotated_files": ("from_boxes_csv", "from_pascal_xml"),
        "bad_images": ("check",),
        "evaluation_batches": ("eval_batches",),
        "numpy_batches": ("NumpyBatches",),
        "training_batches": ("steps_per_epoch", "train_batches"),
        "scenes_dataset": ("scenes",),
        "shapes_dataset": ("shapes",),
        "tfds_source": ("from_tfds",),
        "voc_dataset": ("voc",),
    },
    renamed={"TooManyBadPicturesError": "TooManyBadImagesError"},
)
