"""The constructors as a user finds them: names, signatures, docstrings, modules."""

import inspect
import re
import sys

import pytest

from keras_prelu import applications
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.applications.nets import NETS

every_net = pytest.mark.parametrize("net", CONSTRUCTORS)


def test_constructors_are_in_the_order_of_the_table():
    assert list(CONSTRUCTORS) == list(NETS)


@every_net
def test_constructor_is_the_function_in_its_module(net):
    constructor = CONSTRUCTORS[net]
    module = getattr(applications, net)
    assert getattr(module, constructor.__name__) is constructor
    assert getattr(applications, constructor.__name__) is constructor
    # An editor's "go to definition" uses the source, and help() the signature.
    source = inspect.getsource(inspect.unwrap(constructor))
    assert f"def {constructor.__name__}(" in source
    assert inspect.getsourcefile(inspect.unwrap(constructor)) == module.__file__


@every_net
def test_signatures_differ_only_in_the_default_name(net):
    signature = inspect.signature(CONSTRUCTORS[net])
    expected = inspect.signature(CONSTRUCTORS["model_a"])
    name = expected.parameters["name"].replace(default=net)
    parameters = [*list(expected.parameters.values())[:-1], name]
    assert signature == expected.replace(parameters=parameters)


@every_net
def test_unknown_arguments_raise_an_error_that_names_the_constructor(net):
    name = CONSTRUCTORS[net].__name__
    with pytest.raises(TypeError, match=rf"^{name}\(\): .*'clases'"):
        CONSTRUCTORS[net](clases=3)


def common_docstring(net):
    """Return a constructor's docstring without the parts that may differ."""
    text = inspect.getdoc(CONSTRUCTORS[net])
    name, size = CONSTRUCTORS[net].__name__, NETS[net].smallest_size
    text = text[text.index("The model takes") :]
    text = text.replace(f"applications.{name}(", "applications.NAME(")
    text = text.replace(f"of at least {size} pixels", "of at least SIZE pixels")
    return re.sub(r"(1502\.01852\), )(Table [13]|section 2\.3)$", r"\1WHERE", text)


@every_net
def test_docstrings_agree(net):
    text = common_docstring(net)
    assert text == common_docstring("model_a")
    assert all(word in text for word in ("NAME", "SIZE", "WHERE"))


@every_net
def test_docstrings_describe_all_arguments_in_order(net):
    described = re.findall(r"^    (\w+): ", inspect.getdoc(CONSTRUCTORS[net]), re.M)
    assert described == list(inspect.signature(CONSTRUCTORS[net]).parameters)


def test_module_small_is_deprecated_but_works(monkeypatch):
    # As in a process that has not used it.
    vars(applications).pop("small", None)
    monkeypatch.delitem(sys.modules, "keras_prelu.applications.small", raising=False)
    with pytest.warns(DeprecationWarning) as warned:
        small = applications.small
    assert [str(warning.message) for warning in warned] == [
        "keras_prelu.applications.small is deprecated and will be removed in the next "
        "version: use keras_prelu.applications.model14 and model30."
    ]
    assert small.Model14 is applications.Model14
    assert small.Model30 is applications.Model30
