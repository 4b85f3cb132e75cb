"""Layers of the PReLU networks."""

from keras_prelu.layers.prelu import PReLU
from keras_prelu.layers.region_pooling import RegionPooling
from keras_prelu.layers.spatial_pyramid_pooling import SpatialPyramidPooling
from keras_prelu.layers.subtract_mean import IMAGENET_MEAN, SubtractMean

__all__ = [
    "IMAGENET_MEAN",
    "PReLU",
    "RegionPooling",
    "SpatialPyramidPooling",
    "SubtractMean",
]


def __dir__() -> list[str]:
    return __all__
