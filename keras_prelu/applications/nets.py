"""The networks of the paper, and their activations, as tables."""

from typing import Any, NamedTuple

from keras import layers

from keras_prelu.layers import PReLU

__all__ = ["NETS", "RECTIFIERS", "Net", "Rectifier", "Stage"]


class Stage(NamedTuple):
    """A stack of equal convolutions, followed by max pooling if `pool` is given."""

    filters: int
    kernel: int
    depth: int
    stride: int = 1
    pool: int | None = None


class Net(NamedTuple):
    """The stages of a network and the levels of its spatial pyramid pooling."""

    stages: tuple[Stage, ...]
    levels: tuple[int, ...] = (7, 3, 2, 1)

    @property
    def smallest_size(self) -> int:
        """Smallest height and width of images that leave a last map of 1x1."""
        size = 1
        for stage in reversed(self.stages):
            size *= stage.pool or 1
            size = (size - 1) * stage.stride + 1
        return size


def _large(widths, depth):
    """Return a network of Table 3: a 7x7 convolution, then three stages of 3x3."""
    return Net(
        (
            Stage(96, kernel=7, depth=1, stride=2, pool=2),
            Stage(widths[0], kernel=3, depth=depth, pool=2),
            Stage(widths[1], kernel=3, depth=depth, pool=2),
            Stage(widths[2], kernel=3, depth=depth),
        )
    )


def _small(depth):
    """Return a network of Table 1 with `depth` convolutions in its last stage."""
    return Net(
        (
            Stage(64, kernel=7, depth=1, stride=2, pool=3),
            Stage(128, kernel=2, depth=4, pool=2),
            Stage(256, kernel=2, depth=depth),
        ),
        levels=(6, 3, 2, 1),
    )


NETS: dict[str, Net] = {
    "model_a": _large((256, 512, 512), depth=5),
    "model_b": _large((256, 512, 512), depth=6),
    "model_c": _large((384, 768, 896), depth=6),
    "model14": _small(depth=6),
    "model30": _small(depth=22),
}


class Rectifier(NamedTuple):
    """An activation: layer name prefix, initial slope, layer class and arguments."""

    prefix: str
    slope: float
    layer: type
    arguments: dict[str, Any]


RECTIFIERS: dict[str, Rectifier] = {
    "prelu": Rectifier("prelu", 0.25, PReLU, {}),
    "prelu_shared": Rectifier("prelu", 0.25, PReLU, {"shared": True}),
    "relu": Rectifier("relu", 0.0, layers.ReLU, {}),
    "leaky_relu": Rectifier(
        "leaky_relu", 0.01, layers.LeakyReLU, {"negative_slope": 0.01}
    ),
}
