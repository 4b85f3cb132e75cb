"""The fields of a training image on its way to the model, declared once.

    read -> EncodedImage -> decode its window -> DrawnImage -> batch -> Augmentation

Both are dicts, because tf.data and Keras take dicts as they are. Each field of an
image becomes a column of a batch.
"""

import typing
from typing import Annotated, NamedTuple, TypedDict

from keras_prelu.types import Tensor

__all__ = [
    "JPEG_RATIOS",
    "DrawnImage",
    "Draws",
    "EncodedImage",
    "Plan",
    "Spec",
    "Window",
    "specs",
]

JPEG_RATIOS = (1, 2, 4, 8)  # reductions that libjpeg offers while it decodes


class Spec(NamedTuple):
    """The dtype and shape of a field. A side that depends on the image is None."""

    dtype: str
    shape: tuple[int | None, ...] = ()


class Window(TypedDict):
    """The part of an image file to decode.

    Attributes:
        area: Top, left, rows and columns of the part, in the decoder's pixels.
        decoder: Index of the decoder. Decoder i reduces a JPEG by `JPEG_RATIOS[i]`,
            and the decoder after these decodes a whole image of any format.
        factor: Side of the squares of decoded pixels that are averaged.
    """

    area: Annotated[Tensor, Spec("int32", (4,))]
    decoder: Annotated[Tensor, Spec("int32")]
    factor: Annotated[Tensor, Spec("int32")]


class Draws(TypedDict):
    """What was drawn for an image, in the form that `Augmentation` applies.

    Attributes:
        box: Top, left, height and width of the crop, in pixels of the decoded window.
        flip: 1 to mirror the crop, else 0.
        shift: Values to add to red, green and blue.
    """

    box: Annotated[Tensor, Spec("float32", (4,))]
    # Not a bool: Keras adds the replicas' parts of a batch to find out its shape.
    flip: Annotated[Tensor, Spec("uint8")]
    shift: Annotated[Tensor, Spec("float32", (3,))]


class Plan(Window, Draws):
    """The window and the draws of an image."""


class EncodedImage(Plan):
    """An image that was read, with its plan.

    Attributes:
        data: The bytes of the file.
        label: Index of the class.
        epoch: Epoch that the image is read for.
        index: Position in the source that the order of the epoch asks for.
    """

    data: Annotated[Tensor, Spec("string")]
    label: Annotated[Tensor, Spec("int32")]
    epoch: Annotated[Tensor, Spec("int64")]
    index: Annotated[Tensor, Spec("int64")]


class DrawnImage(Draws):
    """The decoded window of an image, with its draws.

    Attributes:
        pixels: The window, padded with zeros.
        size: Height and width of the window without the padding.
    """

    pixels: Annotated[Tensor, Spec("uint8", (None, None, 3))]
    size: Annotated[Tensor, Spec("int32", (2,))]


def specs(fields: type) -> dict[str, Spec]:
    """Return the `Spec` of each field, by name.

    Args:
        fields: `EncodedImage` or `DrawnImage`.

    Examples:
        >>> specs(DrawnImage)["box"]
        Spec(dtype='float32', shape=(4,))
    """
    hints = typing.get_type_hints(fields, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}
