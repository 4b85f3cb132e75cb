"""Large packages are imported on first use, and named where they are missing."""

import importlib
import pkgutil
import subprocess
import sys

import keras
import pytest

import keras_prelu
from keras_prelu import on_use


def test_says_in_one_line_which_package_is_missing(monkeypatch):
    for module in ("tfds_records", "tfds_source", "shapes_dataset", "voc_dataset"):
        monkeypatch.delitem(sys.modules, f"keras_prelu.data.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    for name in ("from_tfds", "shapes", "voc"):
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


@pytest.mark.parametrize("package", [keras_prelu, keras_prelu.data])
def test_dir_lists_the_public_names_only(package):
    assert dir(package) == sorted(package.__all__)


def test_packages_list_what_they_would_load():
    assert {"train_batches", "check", "shapes", "split"} <= set(dir(keras_prelu.data))


@pytest.mark.tensorflow_only
def test_every_public_name_exists():
    for package in (keras_prelu, keras_prelu.data):
        for name in package.__all__:
            assert getattr(package, name) is not None


def test_former_names_work_with_a_warning():
    with pytest.warns(
        DeprecationWarning, match="data.TooManyBadImagesError`"
    ) as caught:
        former = keras_prelu.data.TooManyBadPicturesError
    assert former is keras_prelu.data.TooManyBadImagesError
    assert caught[0].filename == __file__


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_tensorflow_datasets_is_imported_on_first_use():
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


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_importing_the_package_registers_every_class_in_saved_models():
    """A `.keras` file loads after `import keras_prelu`, without further imports."""
    code = "import keras, keras_prelu; print(*keras.saving.get_custom_objects())"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for module in pkgutil.walk_packages(keras_prelu.__path__, "keras_prelu."):
        importlib.import_module(module.name)
    registered = {
        name
        for name in keras.saving.get_custom_objects()
        if name.startswith("keras_prelu>")
    }
    assert "keras_prelu>AugmentedModel" in registered
    assert registered <= set(result.stdout.split())
