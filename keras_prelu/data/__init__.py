"""Sources of labelled pictures, the paper's augmentation, and batches."""

import importlib

from keras_prelu.data.augmentation import Augmentation, augmented
from keras_prelu.data.batches import eval_batches, steps_per_epoch, train_batches
from keras_prelu.data.checking import check
from keras_prelu.data.color import (
    IMAGENET_COMPONENTS,
    ColorComponents,
    color_components,
)
from keras_prelu.data.fingerprints import differences
from keras_prelu.data.sources import (
    Source,
    Subset,
    TooManyBadPicturesError,
    from_directory,
    from_files,
    split,
)

# These load TensorFlow Datasets, which most users of the rest do without.
_ON_USE = {"from_tfds": "tfds_source", "shapes": "prelu_shapes"}


def __getattr__(name):
    if name in _ON_USE:
        module = importlib.import_module(f"{__name__}.{_ON_USE[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ON_USE})
