"""Model cards in Markdown and JSON: facts about an exported model, and its origin."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_prelu import model_surgery, tables
from keras_prelu.applications.nets import RECTIFIERS
from keras_prelu.files import replacing

__all__ = ["NOT_STATED", "STATED_KEYS", "check", "describe", "markdown", "write"]

# Facts that the model does not contain: its author must state them.
STATED_KEYS = ("data", "protocol", "scores", "command", "licence", "intended_use")
NOT_STATED = "not stated"


def check(card: Mapping[str, Any] | None) -> None:
    """Raise if a card has unknown keys, or values that its files cannot hold."""
    if card is not None and not isinstance(card, Mapping):
        raise ValueError(f"Argument `card` must be a dict. Received: card={card!r}")
    unknown = sorted(set(card or {}) - set(STATED_KEYS))
    if unknown:
        raise ValueError(
            f"Argument `card` must have keys from {', '.join(STATED_KEYS)}. "
            f"Received: card with {', '.join(map(repr, unknown))}"
        )
    for key, value in (card or {}).items():
        try:
            # JSON has no NaN and no infinity, though Python would write them.
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Argument `card` must have values that JSON can hold ({error}). "
                f"Received: card[{key!r}]={value!r}"
            ) from error


def _activation(layer):
    fits = [
        name
        for name, rectifier in RECTIFIERS.items()
        if isinstance(layer, rectifier.layer)
        and rectifier.arguments.items() <= layer.get_config().items()
    ]
    return fits[-1:]  # a layer of "prelu_shared" is one of "prelu" too, listed before


def describe(
    model: keras.Model,
    class_names: Sequence[str] | None,
    card: Mapping[str, Any] | None,
    size: int,
    classes: int | None = None,
    image: str | None = None,
    **export: Any,
) -> dict[str, Any]:
    """Return the card of an exported model, a dict that `json` can write.

    Args:
        model: The model.
        class_names: Names of its classes, or `None`.
        card: Dict of statements with keys from `STATED_KEYS`, or `None`.
        size: Bytes of the exported files.
        classes: Number of classes. Defaults to the length of the model's output.
        image: Sizes of images, a text. Defaults to the model's input size.
        **export: Further facts about the export.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=2)
        >>> card = describe(model, ["cat", "dog"], {"licence": "MIT"}, 99)
        >>> card["activation"], card["licence"], card["data"]
        ('prelu', 'MIT', 'not stated')
    """
    if image is None:
        image = "x".join(map(str, model_surgery.input_size(model)))
    activations = {name for layer in model.layers for name in _activation(layer)}
    stated = {name: (card or {}).get(name, NOT_STATED) for name in STATED_KEYS}
    return {
        "net": model.name,
        "activation": ", ".join(sorted(activations)) or NOT_STATED,
        "classes": model.output_shape[-1] if classes is None else classes,
        **stated,
        "sizes": {
            "parameters": model.count_params(),
            "image": image,
            "bytes": size,
        },
        "export": export,
        "class_names": NOT_STATED if class_names is None else list(class_names),
    }


def _cell(value):
    if value is None:
        return "n/a"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def markdown(card: Mapping[str, Any]) -> str:
    """Return a card as a Markdown table.

    Examples:
        >>> print(markdown({"net": "model_a", "scores": {"top1_error": 0.0210000002}}))
        # Model card: model_a
        <BLANKLINE>
        |  |  |
        | --- | --- |
        | net | model_a |
        | scores | top1_error: 0.021 |
        <BLANKLINE>
    """
    rows = [(key.replace("_", " "), _cell(card[key])) for key in card]
    table = tables.markdown(("", ""), rows)
    return f"# Model card: {card['net']}\n\n{table}\n"


def write(card: Mapping[str, Any], stem: pathlib.Path) -> None:
    """Write a card to two files: `stem` with `.json` and with `.md` appended."""
    texts = {".json": json.dumps(card, indent=2) + "\n", ".md": markdown(card)}
    for ending, text in texts.items():
        with replacing(stem.with_name(stem.name + ending)) as aside:
            aside.write_text(text, encoding="utf-8")
