"""Sources of labelled pictures, the paper's augmentation, and batches."""

from keras_prelu.data.augmentation import Augmentation, augmented
from keras_prelu.data.batches import eval_batches, steps_per_epoch, train_batches
from keras_prelu.data.color import (
    IMAGENET_COMPONENTS,
    ColorComponents,
    color_components,
)
from keras_prelu.data.sources import (
    Source,
    TooManyBadPicturesError,
    from_directory,
    from_files,
)
