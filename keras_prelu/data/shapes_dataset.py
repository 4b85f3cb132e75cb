"""The built-in dataset: 10,000 images of 16 shapes, rendered without a download.

After `import keras_prelu.data.shapes_dataset`, TFDS knows it as `"prelu_shapes"`.
"""

import io

import tensorflow_datasets as tfds

from keras_prelu.data.rendering import in_threads
from keras_prelu.data.shapes_renderer import SHAPES, render
from keras_prelu.data.tfds_source import TfdsSource, from_tfds
from keras_prelu.types import PathLike

__all__ = ["PreluShapes", "shapes"]

_SIZES = {"train": 8000, "validation": 2000}


class PreluShapes(tfds.core.GeneratorBasedBuilder):
    """Images of 16 classes that differ in their shape only."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "2.0.0": "Larger shapes, rotated less, with more contrast: a net without batch "
        "normalization learns them in minutes.",
        "1.0.0": "First release.",
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Shapes in 16 classes, rotated, scaled and shifted at random, with "
                "color, texture, light, blur, noise and clutter that do not depend on "
                "the class. JPEG images with sides of 128 to 256 pixels."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "label": tfds.features.ClassLabel(names=list(SHAPES)),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(number, _SIZES[split])
            for number, split in enumerate(_SIZES)
        }

    def _generate_examples(self, split, count):
        names = list(SHAPES)

        def example(index):
            name = names[index % len(names)]
            image = io.BytesIO(render(name, (split, index)))
            return index, {"image": image, "label": name}

        return in_threads(example, count)


def shapes(split: str, data_dir: PathLike | None = None) -> TfdsSource:
    """Return the built-in dataset of 16 shapes, which needs no download.

    It has 8,000 images for training and 2,000 for validation. They are rendered on
    first use and kept where TFDS keeps its datasets.

    Args:
        split: `"train"`, `"validation"`, or a part of them as TFDS writes it.
        data_dir: Folder of prepared datasets. Defaults to TFDS's own default.

    Returns:
        A `Source`.

    Examples:
        >>> source = shapes("validation")  # doctest: +SKIP
        >>> len(source), len(source.class_names)  # doctest: +SKIP
        (2000, 16)
    """
    return from_tfds("prelu_shapes", split, data_dir)
