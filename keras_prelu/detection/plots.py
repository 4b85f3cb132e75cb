"""Images with boxes, galleries of detections, and precision-recall curves."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_prelu import on_use
from keras_prelu.data.annotations import Objects
from keras_prelu.detection.detecting import Detections
from keras_prelu.number_checks import check_fraction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_prelu.detection.results import DetectionEvaluation

__all__ = ["draw", "draw_curves", "gallery"]

_SMALLEST = 400  # the longer side below which images are enlarged


def draw(
    image: np.ndarray, objects: Objects | Detections, class_names: Sequence[str]
) -> Image.Image:
    """Draw objects or detections into an image.

    Each class has its own color. The best detection is drawn last. Small images are
    enlarged by a whole factor, so that labels can be read.

    Args:
        image: A uint8 array of shape `(height, width, 3)`.
        objects: `keras_prelu.data.Objects` or `keras_prelu.detection.Detections`.
        class_names: The names of the classes.

    Returns:
        A `PIL.Image.Image`.

    Examples:
        >>> objects = Objects(
        ...     np.array([[2, 2, 20, 12]]), np.array([0]), np.array([True])
        ... )
        >>> draw(np.zeros((30, 50, 3), "uint8"), objects, ["cat"]).size
        (400, 240)
    """
    factor = max(1, _SMALLEST // max(image.shape[:2]))
    height, width = image.shape[:2]
    canvas = Image.fromarray(image).resize(
        (width * factor, height * factor), Image.Resampling.NEAREST
    )
    pen = ImageDraw.Draw(canvas)
    size = max(12, max(canvas.size) // 40)
    font = ImageFont.load_default(size)
    rows = list(zip(*objects, strict=True))
    for box, label, rest in reversed(rows):
        color = _color(label)
        edges = tuple(float(edge) * factor for edge in box)
        pen.rectangle(edges, outline=color, width=max(2, size // 6))
        text = _label(class_names[label], rest)
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        x = min(max(edges[0], 0), max(0, canvas.width - right - 4))
        y = edges[1] - bottom - 4
        if y < 0:  # inside the box, if there is no room above
            y = edges[1]
        pen.rectangle((x, y, x + right + 4, y + bottom + 4), fill=color)
        pen.text((x + 2, y + 1), text, fill=_text_color(color), font=font)
    return canvas


def _label(name, rest):
    """Return a class name with a score, or with a mark of a difficult object."""
    if isinstance(rest, (bool, np.bool_)):
        return f"{name} (difficult)" if rest else name
    return f"{name} {rest:.2f}"


def _color(label: Any) -> tuple[int, int, int]:
    # Steps of the golden ratio keep the hues of any number of classes apart.
    hue = (0.02 + 0.618034 * int(label)) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95)
    return int(255 * red), int(255 * green), int(255 * blue)


def _text_color(color):
    brightness = np.dot(color, [0.299, 0.587, 0.114])
    return (0, 0, 0) if brightness > 110 else (255, 255, 255)


def _figure(user, **options):
    module = on_use.imported("matplotlib.figure", f"keras_prelu.detection.{user}")
    return module.Figure(layout="constrained", **options)


def gallery(
    images: Sequence[np.ndarray],
    objects: Sequence[Objects],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    least_score: float = 0.5,
) -> Figure:
    """Draw the objects of images beside what was detected.

    Args:
        images: uint8 arrays of shape `(height, width, 3)`.
        objects: `keras_prelu.data.Objects` of each image.
        detections: `keras_prelu.detection.Detections` of each image.
        class_names: The names of the classes.
        least_score: Detections with smaller scores are not drawn. Defaults to 0.5.

    Returns:
        A matplotlib figure with one row per image.
    """
    if not 0 < len(images) == len(objects) == len(detections):
        raise ValueError(
            "Argument `images` must have at least one image, and `objects` and "
            "`detections` one item for each. "
            f"Received: {len(images)} images, {len(objects)} objects, "
            f"{len(detections)} detections"
        )
    check_fraction("least_score", least_score)
    figure = _figure("gallery", figsize=(10, 4 * len(images)))
    axes = figure.subplots(len(images), 2, squeeze=False)
    rows = zip(axes, images, objects, detections, strict=True)
    for (left, right), image, wanted, found in rows:
        kept = found.scores >= least_score
        found = Detections(*(values[kept] for values in found))
        left.imshow(draw(image, wanted, class_names))
        right.imshow(draw(image, found, class_names))
    for axis in axes.flat:
        axis.set_axis_off()
    axes[0, 0].set_title("annotated objects")
    axes[0, 1].set_title(f"detections with scores from {least_score:g}")
    return figure


def draw_curves(evaluation: DetectionEvaluation) -> Figure:
    """Draw the precision-recall curves of an evaluation, one line per class.

    Args:
        evaluation: A `keras_prelu.detection.DetectionEvaluation`. Classes without
            objects are left out.

    Returns:
        A matplotlib figure.
    """
    figure = _figure("draw_curves", figsize=(7, 5))
    axis = figure.subplots()
    for label, (name, curve) in enumerate(evaluation.curves.items()):
        if curve.objects:
            color = np.array(_color(label)) / 255
            average = f"{name} (AP {evaluation.per_class[name]:.1%})"
            axis.plot(curve.recall, curve.precision, color=color, label=average)
    axis.set(
        title=f"Precision and recall at IoU 0.5, mean AP {evaluation.mean_ap:.1%} "
        f"({evaluation.metric})",
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1.01),
        ylim=(0, 1.01),
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
