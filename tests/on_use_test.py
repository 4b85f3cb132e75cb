"""Large packages: imported by those who use them, and named where they are missing."""

import subprocess
import sys

import pytest

import keras_prelu
from keras_prelu import on_use


def test_says_in_one_line_which_package_is_missing(monkeypatch):
    for module in ("tfds_source", "prelu_shapes"):
        monkeypatch.delitem(sys.modules, f"keras_prelu.data.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    for name in ("from_tfds", "shapes"):
        with pytest.raises(ModuleNotFoundError) as caught:
            getattr(keras_prelu.data, name)
        assert str(caught.value) == (
            f"`keras_prelu.data.{name}` needs TensorFlow Datasets, which is not "
            "installed: pip install tensorflow-datasets"
        )


def test_leaves_other_errors_as_they_are():
    with pytest.raises(ModuleNotFoundError, match="^No module named 'no_such_module'"):
        on_use.imported("no_such_module", "keras_prelu.nothing")
    with pytest.raises(AttributeError, match="'keras_prelu.data' has no attribute 'x'"):
        keras_prelu.data.x  # noqa: B018


def test_packages_list_what_they_would_load():
    assert {"train_batches", "check", "shapes", "split"} <= set(dir(keras_prelu.data))


@pytest.mark.tensorflow_only
def test_tensorflow_datasets_is_imported_by_those_who_use_it():
    code = (
        "import sys; from keras_prelu import callbacks, data, evaluation, finetuning;"
        "used = (callbacks.ExactResume, data.train_batches, data.check,"
        "evaluation.evaluate, finetuning.fine_tune);"
        "print('tensorflow' in sys.modules, 'tensorflow_datasets' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True False\n"
