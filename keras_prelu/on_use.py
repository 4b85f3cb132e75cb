"""Names of a package that are loaded when they are first used.

TensorFlow's modules, and those of other large packages, are then imported only by
those who use them; where such a package is not installed, all the rest still works.
"""

import importlib
import sys

# What the packages are called that parts of this library need, and how to install them.
_PACKAGES = {
    "array_record": ("array_record", "array_record"),
    "tensorflow": ("TensorFlow", "tensorflow"),
    "tensorflow_datasets": ("TensorFlow Datasets", "tensorflow-datasets"),
}


def attach(package, submodules=(), names=None):
    """Returns a package's `__getattr__` and `__dir__`, which load what is used.

    Args:
        package: The package's `__name__`.
        submodules: Names of modules in it.
        names: Dict from other modules in it to the names that they define.

    Examples:
        >>> getter, _ = attach("keras_prelu", names={"version": ["__version__"]})
        >>> getter("__version__") == keras_prelu.__version__
        True
    """
    homes = {name: home for home, of_it in (names or {}).items() for name in of_it}

    def load(name):
        user = f"{package}.{name}"
        if name in submodules:
            return imported(user, user)
        if name in homes:
            return getattr(imported(f"{package}.{homes[name]}", user), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names_of_package():
        loaded = vars(sys.modules[package])
        return sorted({*loaded, *submodules, *homes})

    return load, names_of_package


def imported(module, user):
    """Imports a module; says in one line which package is missing for what.

    Args:
        module: The module's full name.
        user: Full name of what needs it.

    Returns:
        The module.

    Examples:
        >>> imported("keras_prelu.version", "keras_prelu.__version__")
        <module 'keras_prelu.version' from ...>
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        called, installed_as = _PACKAGES[missing]
        raise ModuleNotFoundError(
            f"`{user}` needs {called}, which is not installed: "
            f"pip install {installed_as}",
            name=missing,
        ) from error
