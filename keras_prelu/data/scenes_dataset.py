"""The built-in dataset for detection: 2,500 scenes of shapes, rendered, no download.

After `import keras_prelu.data.scenes_dataset`, TFDS knows it as `"prelu_scenes"`.
"""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from keras_prelu.data.annotated_tfds import AnnotatedTfdsSource
from keras_prelu.data.rendering import in_threads
from keras_prelu.data.scenes_renderer import render_scene
from keras_prelu.data.shapes_renderer import SHAPES
from keras_prelu.data.tfds_records import prepared_builder
from keras_prelu.types import PathLike

__all__ = ["PreluScenes", "scenes"]

_SIZES = {"train": 2000, "validation": 500}
# First part of the seeds. The dataset of shapes has 0 and 1.
_SEEDS = {"train": 2, "validation": 3}


class PreluScenes(tfds.core.GeneratorBasedBuilder):
    """Scenes of 1 to 6 shapes with boxes."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Images of 1 to 6 shapes in 16 classes, which partly hide each other, "
                "with their boxes. Color, texture, light, blur, noise and clutter do "
                "not depend on the class. JPEG images with sides of 160 to 224 pixels."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=list(SHAPES)),
                            "is_difficult": np.bool_,
                        }
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in _SIZES}

    def _generate_examples(self, split):
        def example(index):
            image, objects = render_scene((_SEEDS[split], index))
            with Image.open(io.BytesIO(image)) as opened:
                size = opened.size
            return index, {
                "image": io.BytesIO(image),
                "objects": _records(objects, size),
            }

        return in_threads(example, _SIZES[split])


def _records(objects, size):
    """Return the objects as TFDS wants them."""
    relative = objects.boxes / np.array(size * 2)
    return [
        {
            "bbox": tfds.features.BBox(ymin=y1, xmin=x1, ymax=y2, xmax=x2),
            "label": int(label),
            "is_difficult": bool(difficult),
        }
        for (x1, y1, x2, y2), label, difficult in zip(
            relative, objects.labels, objects.difficult, strict=True
        )
    ]


def scenes(split: str, data_dir: PathLike | None = None) -> AnnotatedTfdsSource:
    """Return the built-in dataset for detection, which needs no download.

    It has 2,000 images for training and 500 for validation, each with 1 to 6 objects of
    16 classes, the classes of `shapes`. They are rendered on first use and kept where
    TFDS keeps its datasets. Later objects cover earlier ones. Boxes include the hidden
    parts of their objects. An object is difficult if less than half of it is
    visible.

    Args:
        split: `"train"`, `"validation"`, or a part of them as TFDS writes it.
        data_dir: Folder of prepared datasets. Defaults to TFDS's own default.

    Returns:
        An `AnnotatedSource`.

    Examples:
        >>> source = scenes("validation")  # doctest: +SKIP
        >>> len(source), len(source.class_names)  # doctest: +SKIP
        (500, 16)
    """
    return AnnotatedTfdsSource(prepared_builder("prelu_scenes", data_dir), split)
