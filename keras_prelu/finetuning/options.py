"""The options of a fine-tuning run, and the plan that follows from them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from keras_prelu.class_names import checked_class_names
from keras_prelu.number_checks import check_integer, is_integer, is_real

__all__ = ["AUTO", "Auto", "Options", "Plan"]

Auto: TypeAlias = Literal["auto"]
AUTO: Auto = "auto"

# A small set has few steps per epoch, and needs more epochs. These numbers come from
# sets of 25 to 60 images per class, which applications/finetune/ draws: all of them
# stopped improving within this many steps.
_MIN_STEPS = 1000
_MIN_EPOCHS = 20
# The head stage, and the wait before a run ends early, each last a quarter of that.
_QUARTER = 4
_BATCH_SIZES = (32, 16, 8)
_MIN_STEPS_PER_EPOCH = 16
_HEAD_LEARNING_RATE = 1e-2
_LEARNING_RATES = (1e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Options:
    """Everything that `fine_tune` is given besides the model, the data and callbacks.

    The fields have the meaning of `fine_tune`'s arguments. `"auto"` stands for a value
    that depends on the size of the training set, as `plan` chooses it.
    """

    class_names: Sequence[str] | None = None
    head_epochs: int | Auto = AUTO
    epochs: int | Auto = AUTO
    head_learning_rate: float | Auto = AUTO
    learning_rate: float | Auto = AUTO
    unfreeze_from: str | None = None
    patience: int | Auto | None = AUTO
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None
    batch_size: int | Auto = AUTO
    scale: tuple[int, int] | None = None
    eval_scale: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that are wrong for every model and data set."""
        for name, least in (
            ("head_epochs", 0),
            ("epochs", 1),
            ("patience", 1),
            ("batch_size", 1),
        ):
            value = getattr(self, name)
            if value == AUTO or (name == "patience" and value is None):
                continue
            if not is_integer(value, least):
                raise ValueError(
                    f"Argument `{name}` must be an integer of at least {least}, or "
                    f'"auto". Received: {name}={value!r}'
                )
            # A checkpoint's JSON cannot hold NumPy's integers.
            object.__setattr__(self, name, int(value))
        for name in ("head_learning_rate", "learning_rate"):
            value = getattr(self, name)
            if value == AUTO:
                continue
            if not is_real(value) or value <= 0:
                raise ValueError(
                    f'Argument `{name}` must be a positive finite number, or "auto". '
                    f"Received: {name}={value!r}"
                )
            object.__setattr__(self, name, float(value))
        self._check_epochs()
        if self.class_names is not None:
            names = checked_class_names(self.class_names)
            object.__setattr__(self, "class_names", names)
        check_integer("seed", self.seed, 0)

    def _check_epochs(self):
        if AUTO in (self.epochs, self.head_epochs):
            return
        if self.epochs < self.head_epochs:
            raise ValueError(
                "Argument `epochs` must be at least `head_epochs`, because it counts "
                "both stages. "
                f"Received: epochs={self.epochs}, head_epochs={self.head_epochs}"
            )

    def batch_size_for(self, examples: int) -> int:
        """Return the batch size for a number of training images."""
        if self.batch_size != AUTO:
            return self.batch_size
        for size in _BATCH_SIZES:
            if examples >= _MIN_STEPS_PER_EPOCH * size:
                return size
        return min(_BATCH_SIZES[-1], examples)

    def plan(self, steps: int, batch_size: int) -> "Plan":
        """Return the plan of a run, with a value for everything that is left open.

        Args:
            steps: Integer. Steps per epoch.
            batch_size: Integer. Images per step.
        """
        enough = max(_MIN_EPOCHS, -(-_MIN_STEPS // steps))
        quarter = -(-enough // _QUARTER)
        if self.epochs != AUTO:
            epochs = self.epochs
        elif self.head_epochs != AUTO:
            # A long head stage does not shorten the second one.
            epochs = max(enough, self.head_epochs + enough - quarter)
        else:
            epochs = enough
        chosen = {
            "head_epochs": min(quarter, -(-epochs // _QUARTER)),
            "head_learning_rate": _HEAD_LEARNING_RATE,
            "learning_rate": _learning_rate(epochs * steps),
            "patience": quarter,
        }
        given = {name: getattr(self, name) for name in chosen}
        given = {name: value for name, value in given.items() if value != AUTO}
        values: dict[str, Any] = {**chosen, **given}
        return Plan(steps=steps, batch_size=batch_size, epochs=epochs, **values)


class Plan(NamedTuple):
    """The numbers of a fine-tuning run: an `Options` with a value for each `"auto"`."""

    steps: int
    batch_size: int
    head_epochs: int
    epochs: int
    head_learning_rate: float
    learning_rate: float
    patience: int | None

    def described(
        self, examples: int, classes: int, unfreeze_from: str | None = None
    ) -> str:
        """Return the plan in a few lines of text.

        Args:
            examples: Integer. The number of training images.
            classes: Integer. The number of classes.
            unfreeze_from: The first layer that the second stage trains, or None.
        """
        trained = f"from {unfreeze_from} on" if unfreeze_from else "all layers"
        stages = (
            ("new head", 1, self.head_epochs, self.head_learning_rate),
            (trained, self.head_epochs + 1, self.epochs, self.learning_rate),
        )
        lines = [
            f"Fine-tuning on {examples:,} images of {classes} classes: "
            f"{self.steps:,} steps per epoch, up to {self.batch_size} images per step"
        ]
        for title, first, last, rate in stages:
            if first <= last:
                count = (last - first + 1) * self.steps
                lines.append(
                    f"  epochs {first} to {last}: {title}, {count:,} steps at the "
                    f"learning rate {rate:g}"
                )
        if self.patience is not None and self.patience < self.epochs - self.head_epochs:
            lines.append(
                f"  ends early after {self.patience} epochs without improvement in the "
                "second stage"
            )
        return "\n".join(lines)


def _learning_rate(steps):
    """Return a rate that falls as the steps grow: a long run can learn slowly."""
    least, most = _LEARNING_RATES
    return float(f"{min(max(most * _MIN_STEPS / steps, least), most):.1g}")
