"""AlexNet's color augmentation: the principal components of a training set's RGB."""

import dataclasses
from typing import Any

import numpy as np

from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.sources import Source
from keras_prelu.data.threads import ahead, pool

__all__ = [
    "IMAGENET_COMPONENTS",
    "ColorComponents",
    "color_components",
    "color_sums",
    "components_of_sums",
]


@dataclasses.dataclass(frozen=True)
class ColorComponents:
    """Principal components of RGB values scaled to [0, 1].

    Attributes:
        eigenvalues: Three numbers, largest first.
        eigenvectors: Three unit vectors in RGB, one for each eigenvalue.
    """

    eigenvalues: tuple[float, ...]
    eigenvectors: tuple[tuple[float, ...], ...]

    def shift_matrix(self) -> np.ndarray:
        """Return the 3 × 3 matrix that turns three draws alpha into a shift of RGB.

        This is `[p1 p2 p3] [alpha1 lambda1, ...]` of the paper, times 255.

        Reference:
            [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3
        """
        vectors = np.asarray(self.eigenvectors, np.float32)
        return 255 * vectors.T * np.asarray(self.eigenvalues, np.float32)


# The published components of ImageNet's training set, as in the AlexNet
# re-implementations for Torch and Caffe2.
IMAGENET_COMPONENTS = ColorComponents(
    eigenvalues=(0.2175, 0.0188, 0.0045),
    eigenvectors=(
        (-0.5675, -0.5808, -0.5836),
        (0.7192, -0.0045, -0.6948),
        (0.4009, -0.8140, 0.4203),
    ),
)


def color_components(source: Source, threads: int = 8) -> ColorComponents:
    """Compute the principal components of a source's RGB values, in one pass.

    Every pixel of every image counts once, at its original size. Images that cannot be
    decoded are skipped and counted by the source.

    Args:
        source: A `Source` with at least one good image.
        threads: Number of images to decode at the same time. Defaults to 8.

    Returns:
        `ColorComponents`, for the argument `color` of `train_batches`.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> color = keras_prelu.data.color_components(source)
        >>> batches = keras_prelu.data.train_batches(
        ...     source, batch_size=4, image_size=32, scale=(32, 48), color=color)
    """

    def sums(index):
        try:
            return color_sums(decode_rgb(source.read(index)[0]))
        except BadImageError as error:
            source.skip(index, str(error))
            return 0

    with pool(threads) as executor:
        # Not all at once: the results of a whole ImageNet would wait to be added.
        total: Any = sum(ahead(executor, sums, range(len(source)), most=1024))
    if not np.any(total):
        raise ValueError(
            "Argument `source` must contain an image that can be decoded. "
            f"Received: source={source}"
        )
    return components_of_sums(total)


def color_sums(pixels: np.ndarray) -> np.ndarray:
    """Return the sums over an image that determine its color components.

    The sums are exact. So the sum over many images does not depend on the order in
    which, or on the machines on which, their arrays are added.

    Args:
        pixels: A uint8 array of shape `(height, width, 3)`.

    Returns:
        An array of shape `(4, 4)` of Python integers, which cannot overflow: the sums
        of all products of two of (red, green, blue, 1).

    Examples:
        >>> color_sums(np.array([[[1, 2, 3], [4, 0, 0]]], "uint8")).tolist()
        [[17, 2, 3, 5], [2, 4, 6, 2], [3, 6, 9, 3], [5, 2, 3, 2]]
    """
    values = pixels.reshape(-1, 3).astype(np.float64)
    values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    # Floats are exact here: at most 2**26 products below 2**16 are added.
    return (values.T @ values).astype(np.int64).astype(object)


def components_of_sums(sums: np.ndarray) -> ColorComponents:
    """Return the color components that follow from the sums of all images.

    Args:
        sums: The sum of the arrays that `color_sums` returns for at least one image.

    Examples:
        >>> grays = np.array([[[9, 9, 9], [51, 51, 51]]], "uint8")
        >>> components_of_sums(color_sums(grays)).eigenvalues[0]
        0.0203...
    """
    total, count = sums[:3, 3], sums[3, 3]
    # In integers up to the division, because the subtraction cancels digits.
    covariance = (count * sums[:3, :3] - np.outer(total, total)) / (255 * count) ** 2
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    falling = values.argsort()[::-1]
    return ColorComponents(
        eigenvalues=tuple(values[falling].tolist()),
        eigenvectors=tuple(map(tuple, vectors.T[falling].tolist())),
    )
