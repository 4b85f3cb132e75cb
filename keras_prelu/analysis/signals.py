"""How large signals are on their way through a model, and what layers answer."""

from typing import NamedTuple

import keras
from keras import ops

from keras_prelu.analysis import passes, plots
from keras_prelu.analysis.tables import LayerTable


class LayerSignal(NamedTuple):
    """Variances at one layer."""

    name: str
    kind: str
    forward: float
    backward: float


class LayerResponse(NamedTuple):
    """Responses of one layer."""

    name: str
    kind: str
    mean: float
    std: float
    dead: float


def _number(tensor):
    return float(ops.convert_to_numpy(tensor))


def _variance(values):
    return _number(ops.var(ops.cast(values, "float32")))


def signal_propagation(model, images):
    """Measures the variance of each layer's response, and of its gradient.

    The images go forward once. Then Gaussian noise of variance 1 goes back from the
    model's output once, as a loss's gradient would. A good initialization keeps both
    variances from layer to layer; a bad one loses or multiplies them by a factor a
    layer. Give a classifier as logits (`classifier_activation=None`): a softmax would
    shrink the noise before it reaches the first layer.

    Args:
        model: Any functional `keras.Model` of one input and one output.
        images: Array of what the model takes. A few are enough, since variances are
            taken over positions and channels too.

    Returns:
        A `LayerTable` whose rows have `name`, `kind` (the class), `forward` (variance
        of the response) and `backward` (variance of the gradient by the response).

    Examples:
        >>> model = keras.Sequential([keras.Input((100,))])
        >>> he = keras_prelu.initializers.HeNormal(mode="fan_out", seed=1)
        >>> for name in ("fc1", "fc2", "fc3"):
        ...     model.add(keras.layers.Dense(100, "relu", kernel_initializer=he,
        ...                                  name=name))
        >>> images = np.random.default_rng(0).normal(size=(20, 100))
        >>> table = keras_prelu.analysis.signal_propagation(model, images)
        >>> [row.name for row in table]
        ['fc1', 'fc2', 'fc3']
        >>> bool(0.2 < table[0].backward / table[2].backward < 5)
        True

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.2
    """

    def against_noise(output):
        output = ops.cast(output, "float32")
        return ops.sum(output * keras.random.normal(ops.shape(output), seed=0))

    return LayerTable(
        [
            LayerSignal(s.name, s.kind, _variance(s.response), _variance(s.gradient))
            for s in passes.forward_and_back(model, images, against_noise)
        ],
        plots.draw_signals,
    )


def _share_of_dead(seen):
    """Returns the share of a layer's units that answer the same everywhere."""
    response = seen.response
    rank = len(response.shape)
    first = getattr(seen.operation, "data_format", None) == "channels_first"
    axes = [i for i in range(rank) if i != (1 if first else rank - 1)]
    low, high = ops.min(response, axis=axes), ops.max(response, axis=axes)
    return _number(ops.mean(ops.cast(ops.equal(low, high), "float32")))


def responses(model, images):
    """Measures the mean and spread of each layer's output, and its dead units.

    The paper finds that PReLU moves the mean responses towards 0. A unit (a channel
    of a map) is dead if its output is the same everywhere in all images, as that of
    a ReLU is which no image brings above 0: no gradient comes through it. A PReLU's
    unit cannot die.

    Args:
        model: Any functional `keras.Model` of one input and one output.
        images: Array of what the model takes.

    Returns:
        A `LayerTable` whose rows have `name`, `kind` (the class), `mean`, `std` and
        `dead`, a share.

    Examples:
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=10, input_shape=(32, 32, 3)
        ... )
        >>> images = np.zeros((2, 32, 32, 3))
        >>> table = keras_prelu.analysis.responses(model, images)
        >>> table[0].name, round(table[0].mean, 1)
        ('mean', -114.8)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 2.1
    """
    return LayerTable(
        [
            LayerResponse(
                seen.name,
                seen.kind,
                _number(ops.mean(ops.cast(seen.response, "float32"))),
                _variance(seen.response) ** 0.5,
                _share_of_dead(seen),
            )
            for seen in passes.forward(model, images)
        ],
        plots.draw_responses,
    )
