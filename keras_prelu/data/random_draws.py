"""All that is random in the pipeline, as functions of (seed, epoch, index).

Nothing is kept from one draw to the next, so a run starts at any step without
replaying the earlier ones, and workers agree without talking to each other.
"""

import functools
from typing import NamedTuple

import numpy as np

# Philox makes a stream out of a key and a counter, without a state to carry along: the
# key is (seed, epoch), and the counter's upper words tell these apart.
_ORDER, _AUGMENTATION = 0, 1


class Draw(NamedTuple):
    """What is drawn for a picture: see `draw`."""

    shorter_side: int
    place: tuple
    flip: bool
    alpha: tuple


@functools.lru_cache(maxsize=4)
def epoch_order(length, seed, epoch):
    """The order of an epoch: a permutation of `length` indices.

    A few epochs are kept, since the batches of one epoch ask for the same order.
    """
    generator = _generator(seed, epoch, 0, _ORDER)
    order = generator.permutation(np.arange(length, dtype=np.int32))
    order.flags.writeable = False
    return order


def epochs_and_indices(step, batch_size, length, seed):
    """Which pictures make up a global batch: two arrays, epochs and indices.

    Batches follow each other without a gap: where an epoch ends within a batch, the
    next one begins in it, and every picture comes exactly once in each epoch.
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
    epochs, within = np.divmod(positions, length)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        indices[chosen] = epoch_order(length, seed, int(epoch))[within[chosen]]
    return epochs, indices


def draw(seed, epoch, index, scale):
    """Draws what section 3 of the paper draws for a picture.

    Args:
        seed: Integer of at least 0.
        epoch: Integer of at least 0.
        index: Integer of at least 0, the picture's place in the source.
        scale: Pair, the range of the shorter side, both ends included.

    Returns:
        A `Draw`: `shorter_side`, uniform in the range; `place`, two numbers in [0, 1),
        where the crop lies; `flip`, true for a half; `alpha`, three numbers from
        N(0, 0.1), for the principal components of colour.

    Examples:
        >>> draw(0, 3, 5, (256, 512)) == draw(0, 3, 5, (256, 512))
        True
    """
    generator = _generator(seed, epoch, index, _AUGMENTATION)
    side, down, across, flip = generator.random(4).tolist()
    alpha = tuple((0.1 * generator.standard_normal(3)).tolist())
    low, high = scale
    shorter_side = low + int(side * (high - low + 1))
    return Draw(shorter_side, (down, across), flip < 0.5, alpha)


def _generator(seed, epoch, index, purpose):
    counter = (0, 0, index, purpose)
    return np.random.Generator(np.random.Philox(key=(seed, epoch), counter=counter))
