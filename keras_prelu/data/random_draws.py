"""All randomness of the pipeline, as functions of (seed, epoch, index).

No state is kept from one draw to the next. So a run can start at any step without
replaying the earlier ones, and workers agree without communication.
"""

import functools
from typing import NamedTuple

import numpy as np

__all__ = ["Draw", "draw", "epoch_order", "epochs_and_indices", "region_order"]

# Philox computes a stream from a key and a counter, without a state to carry along. The
# key is (seed, epoch), and the upper words of the counter tell these streams apart.
_ORDER, _AUGMENTATION, _REGIONS = 0, 1, 2


class Draw(NamedTuple):
    """The random numbers for an image, see `draw`."""

    shorter_side: int
    position: tuple[float, float]
    flip: bool
    alpha: tuple[float, float, float]


@functools.lru_cache(maxsize=4)
def epoch_order(length: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch, a permutation of `length` indices.

    The last few orders are cached, since all batches of an epoch ask for the same one.

    Args:
        length: Number of images.
        seed: Integer of at least 0.
        epoch: Integer of at least 0.
    """
    generator = _generator(seed, epoch, 0, _ORDER)
    order = generator.permutation(np.arange(length, dtype=np.int32))
    order.flags.writeable = False
    return order


def epochs_and_indices(
    step: int, batch_size: int, length: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a global batch: two arrays, epochs and indices.

    The orders of the epochs are concatenated and cut into batches. If an epoch ends
    within a batch, the next one begins there, and every image occurs exactly once in
    each epoch.

    Args:
        step: The number of the batch, from 0.
        batch_size: Number of images in a global batch.
        length: Number of images in an epoch.
        seed: Integer of at least 0.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
    epochs, within = np.divmod(positions, length)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        indices[chosen] = epoch_order(length, seed, int(epoch))[within[chosen]]
    return epochs, indices


def draw(seed: int, epoch: int, index: int, scale: tuple[int, int]) -> Draw:
    """Draw the random numbers that the augmentation needs for an image.

    Args:
        seed: Integer of at least 0.
        epoch: Integer of at least 0.
        index: The image's position in the source.
        scale: Range of the shorter side, both ends included.

    Returns:
        A `Draw`: `shorter_side`, uniform in the range; `position`, two numbers in
        [0, 1) for the vertical and horizontal position of the crop; `flip`, true with
        probability 0.5; `alpha`, three numbers from N(0, 0.1) for the color components.

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 3

    Examples:
        >>> draw(0, 3, 5, (256, 512)) == draw(0, 3, 5, (256, 512))
        True
    """
    generator = _generator(seed, epoch, index, _AUGMENTATION)
    side, down, across, flip = generator.random(4).tolist()
    first, second, third = (0.1 * generator.standard_normal(3)).tolist()
    low, high = scale
    shorter_side = low + int(side * (high - low + 1))
    return Draw(shorter_side, (down, across), flip < 0.5, (first, second, third))


def region_order(seed: int, epoch: int, index: int, count: int) -> np.ndarray:
    """Return the order in which an image's regions are chosen for training.

    Args:
        seed: Integer of at least 0.
        epoch: Integer of at least 0.
        index: The image's position in the source.
        count: Number of regions.

    Returns:
        A permutation of `count` integers.
    """
    return _generator(seed, epoch, index, _REGIONS).permutation(count)


def _generator(seed, epoch, index, purpose):
    counter = (0, 0, index, purpose)
    return np.random.Generator(np.random.Philox(key=(seed, epoch), counter=counter))
