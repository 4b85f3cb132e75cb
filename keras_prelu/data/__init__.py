"""Sources of labelled pictures, the paper's augmentation, and batches."""

from keras_prelu import on_use
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
from keras_prelu.data.sources import (
    Source,
    Subset,
    split,
)

# The first three need TensorFlow, the others TensorFlow Datasets too.
__getattr__, __dir__ = on_use.attach(
    __name__,
    names={
        "bad_images": ("check",),
        "evaluation_batches": ("eval_batches",),
        "training_batches": ("steps_per_epoch", "train_batches"),
        "tfds_source": ("from_tfds",),
        "shapes_dataset": ("shapes",),
    },
)
