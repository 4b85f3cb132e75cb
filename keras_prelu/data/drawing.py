"""All that is random in the pipeline, as functions of (seed, epoch, index).

Nothing is kept from one draw to the next, so a run starts at any step without
replaying the earlier ones, and workers agree without talking to each other.
"""

import functools

import numpy as np
import tensorflow as tf

# Philox by name: "auto_select" may pick another generator on another machine.
_PHILOX = "philox"


@functools.lru_cache(maxsize=4)
def epoch_order(length, seed, epoch):
    """The order of an epoch: a permutation of `length` indices.

    A few epochs are kept, since the batches of one epoch ask for the same order.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
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
        seed: Integer in 0 ... 2**31 - 1.
        epoch: int64 scalar tensor.
        index: int64 scalar tensor.
        scale: Pair, the range of the shorter side, both ends included.

    Returns:
        A dict: `"shorter_side"`, int64, uniform in the range; `"place"`, two float64 in
        [0, 1), where the crop lies; `"flip"`, bool; `"alpha"`, three float32 from
        N(0, 0.1), for the principal components of colour.
    """
    low, high = scale
    state = tf.stack([seed * 2**31 + epoch, index])
    uniform = tf.random.stateless_uniform([4], state, dtype=tf.float64, alg=_PHILOX)
    # Another stream: the complement of a seed that is never negative.
    alpha = tf.random.stateless_normal([3], -1 - state, stddev=0.1, alg=_PHILOX)
    return {
        "shorter_side": low + tf.cast(uniform[0] * (high - low + 1), tf.int64),
        "place": uniform[1:3],
        "flip": uniform[3] < 0.5,
        "alpha": alpha,
    }


def center(scale):
    """What evaluation takes instead of a draw: one scale, the crop in the middle."""
    return {
        "shorter_side": tf.constant(scale, tf.int64),
        "place": tf.constant([0.5, 0.5], tf.float64),
        "flip": tf.constant(False),
        "alpha": tf.zeros([3]),
    }
