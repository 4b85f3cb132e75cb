"""Model cards: what an exported model is, in Markdown and JSON, nothing invented."""

import json

from keras_prelu import model_surgery, tables
from keras_prelu.applications.nets import RECTIFIERS
from keras_prelu.files import replacing

# What only whoever trained the model can say.
GIVEN = ("data", "protocol", "scores", "command", "licence", "intended_use")
NOT_STATED = "not stated"


def check(card):
    """Refuses a card that says what a card does not hold."""
    unknown = sorted(set(card or {}) - set(GIVEN))
    if unknown:
        raise ValueError(
            f"Argument `card` must have keys out of {', '.join(GIVEN)}. "
            f"Received: card with {', '.join(map(repr, unknown))}"
        )


def _activation(layer):
    fits = [
        name
        for name, rectifier in RECTIFIERS.items()
        if isinstance(layer, rectifier.layer)
        and rectifier.arguments.items() <= layer.get_config().items()
    ]
    return fits[-1:]  # "prelu_shared" fits what "prelu" fits, and comes after it


def describe(model, class_names, card, files, **export):
    """Returns the card of an exported model, a dict that `json` can write.

    Args:
        model: The model.
        class_names: The names of its classes, or `None`.
        card: Dict of what was stated, with keys out of `GIVEN`, or `None`.
        files: The files that were written.
        **export: What else is known of the export.

    Examples:
        >>> model = keras_prelu.applications.Model14(width=1 / 64, classes=2)
        >>> card = describe(model, ["cat", "dog"], {"licence": "MIT"}, [])
        >>> card["activation"], card["licence"], card["data"]
        ('prelu', 'MIT', 'not stated')
    """
    height, width = model_surgery.input_size(model)
    activations = {name for layer in model.layers for name in _activation(layer)}
    stated = {name: (card or {}).get(name, NOT_STATED) for name in GIVEN}
    return {
        "net": model.name,
        "activation": ", ".join(sorted(activations)) or NOT_STATED,
        "classes": model.output_shape[-1],
        **stated,
        "sizes": {
            "parameters": model.count_params(),
            "image": f"{height}x{width}",
            "bytes": sum(file.stat().st_size for file in files if file.is_file()),
        },
        "export": export,
        "class_names": NOT_STATED if class_names is None else list(class_names),
    }


def _cell(value):
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    return str(value)


def markdown(card):
    """Returns a card as a Markdown table.

    Examples:
        >>> print(markdown({"net": "model_a", "intended_use": "not stated"}))
        # Model card: model_a
        <BLANKLINE>
        |  |  |
        | --- | --- |
        | net | model_a |
        | intended use | not stated |
        <BLANKLINE>
    """
    rows = [(key.replace("_", " "), _cell(card[key])) for key in card]
    table = tables.markdown(("", ""), rows)
    return f"# Model card: {card['net']}\n\n{table}\n"


def write(card, stem):
    """Writes a card, as `stem` with the endings .json and .md."""
    texts = {".json": json.dumps(card, indent=2) + "\n", ".md": markdown(card)}
    for ending, text in texts.items():
        with replacing(stem.with_name(stem.name + ending)) as aside:
            aside.write_text(text)
