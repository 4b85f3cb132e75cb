"""What a model card shows of numbers and of missing values."""

import json

import numpy as np
import pytest

from keras_prelu.export import cards


def test_numbers_on_a_card_are_rounded():
    scores = {"center": {"top1_error": 0.02100000000000002, "examples": 123456}}
    text = cards.markdown({"net": "a", "scores": scores})
    assert "| scores | center: top1_error: 0.021; examples: 123456 |" in text


def test_a_missing_top5_error_is_not_applicable():
    text = cards.markdown({"net": "a", "scores": {"top5_error": None}})
    assert "| scores | top5_error: n/a |" in text


def test_cards_with_any_characters_are_written_in_utf_8(tmp_path):
    cards.write({"net": "a", "class_names": ["Bär", "猫"]}, tmp_path / "card")
    assert "Bär, 猫" in (tmp_path / "card.md").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert written["class_names"] == ["Bär", "猫"]


def test_unknown_keys_are_refused():
    with pytest.raises(ValueError, match="licence.*Received: card with 'author'"):
        cards.check({"author": "me"})


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (np.ones(2), r"array\(\[1., 1.\]\)"),
        ({"top1_error": np.float32(0.5)}, r"\{'top1_error': .*0.5\)?\}"),
        ({"prelu_shapes"}, r"\{'prelu_shapes'\}"),
        ({"center": {"top1_error": float("nan")}}, r"\{'center': .* nan\}\}"),
        ([float("inf")], r"\[inf\]"),
        ({(1, 2): "pair"}, r"\{\(1, 2\): 'pair'\}"),
        ("\ud800", r"'\\ud800'"),  # half a character, which UTF-8 does not have
    ],
)
def test_values_that_json_cannot_hold_are_refused(value, received):
    message = (
        rf"^Argument `card` must .* JSON .* Received: card\['scores'\]={received}$"
    )
    with pytest.raises(ValueError, match=message):
        cards.check({"licence": "MIT", "scores": value})


def test_values_that_json_can_hold_are_accepted():
    cards.check(None)
    cards.check({"data": None, "scores": {"B\u00e4r": [1, 0.5, True, np.float64(0.1)]}})
