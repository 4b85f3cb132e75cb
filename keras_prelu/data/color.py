"""AlexNet's color augmentation: the principal components of a training set's RGB."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_prelu.data.decoding import BadImageError, decode_rgb
from keras_prelu.data.sources import Source

__all__ = ["IMAGENET_COMPONENTS", "ColorComponents", "color_components"]


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
            pixels = decode_rgb(source.read(index)[0]).reshape(-1, 3) / 255.0
        except BadImageError as error:
            source.skip(index, str(error))
            return np.zeros((4, 4))
        homogeneous = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
        return homogeneous.T @ homogeneous

    total = np.zeros((4, 4))
    with ThreadPoolExecutor(threads) as pool:
        # In parts, because `map` would queue the results of a whole ImageNet.
        for start in range(0, len(source), 1024):
            stop = min(start + 1024, len(source))
            total += sum(pool.map(sums, range(start, stop)))
    count = total[3, 3]
    if not count:
        raise ValueError(
            "Argument `source` must contain an image that can be decoded. "
            f"Received: source={source}"
        )
    mean = total[3, :3] / count
    values, vectors = np.linalg.eigh(total[:3, :3] / count - np.outer(mean, mean))
    falling = values.argsort()[::-1]
    return ColorComponents(
        eigenvalues=tuple(values[falling].tolist()),
        eigenvectors=tuple(map(tuple, vectors.T[falling].tolist())),
    )
