"""preprocess_input and decode_predictions."""

import json
import re

import numpy as np
import pytest

from keras_prelu.applications import model14, model30, model_a, model_b, model_c

MODULES = (model_a, model_b, model_c, model14, model30)


@pytest.mark.parametrize("module", MODULES)
def test_preprocess_input_returns_its_input_unchanged(module):
    x = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    before = x.copy()
    assert module.preprocess_input(x) is x
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("module", MODULES)
def test_decodes_names_and_pairs(module):
    scores = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], "float32")
    names = [("n1", "cat"), ("n2", "dog"), ("n3", "newt")]
    assert module.decode_predictions(scores, top=2, class_names=names) == [
        [("n2", "dog", np.float32(0.6)), ("n3", "newt", np.float32(0.3))],
        [("n1", "cat", 0.5), ("n2", "dog", 0.25)],
    ]
    plain = module.decode_predictions(scores, top=1, class_names=["cat", "dog", "newt"])
    assert [best[0][:2] for best in plain] == [("dog", "dog"), ("cat", "cat")]


@pytest.mark.parametrize(
    ("dtype", "scores"), [("uint8", [0, 200, 50]), ("int8", [-128, 100, -20])]
)
def test_decodes_integers_as_quantized_models_return_them(dtype, scores):
    (best,) = model_a.decode_predictions(
        np.array([scores], dtype), class_names=["cat", "dog", "newt"]
    )
    assert [(name, score) for name, _, score in best] == [
        ("dog", scores[1]),
        ("newt", scores[2]),
        ("cat", scores[0]),
    ]


def test_class_names_default_to_keras_file_of_imagenets(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    scores = np.eye(1000, dtype="float32")[[386]]
    with pytest.raises(
        ValueError, match="`class_names`.*imagenet_class_index.json"
    ) as error:
        model_a.decode_predictions(scores)
    assert str(tmp_path) in str(error.value)
    index = {str(i): [f"n{i:08}", f"class {i}"] for i in range(1000)}
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "imagenet_class_index.json").write_text(json.dumps(index))
    best = model_a.decode_predictions(scores)[0][0]
    assert best == ("n00000386", "class 386", 1.0)


@pytest.mark.parametrize("shape", [(2,), (1, 4), (1, 3, 1)])
def test_scores_of_another_shape_raise_an_error(shape):
    with pytest.raises(ValueError, match="`preds`.*Received: preds of shape"):
        model_a.decode_predictions(np.zeros(shape), class_names=["a", "b", "c"])


@pytest.mark.parametrize("top", [0, -1, True, 2.0, "5", None])
def test_another_number_of_classes_than_one_or_more_raises_an_error(top):
    with pytest.raises(ValueError, match=f"`top` must be.*Received: top={top!r}"):
        model_a.decode_predictions(np.eye(3), top, class_names=["a", "b", "c"])


@pytest.mark.parametrize(
    "names", [3, "abc", [], [1, 2, 3], [("a",), ("b",), ("c",)], [(1, 2)] * 3]
)
def test_wrong_class_names_raise_an_error(names):
    received = re.escape(f"Received: class_names={names!r}")
    with pytest.raises(ValueError, match=f"`class_names` must be a list.*{received}"):
        model_a.decode_predictions(np.eye(3), class_names=names)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_raise_an_error(bad):
    scores = np.full((4, 3), 0.2)
    scores[[1, 3], 2] = bad
    with pytest.raises(ValueError, match=r"finite scores.*in the rows \[1, 3\]"):
        model_a.decode_predictions(scores, class_names=["a", "b", "c"])
