"""Names of a package that are loaded on first use.

Modules that import TensorFlow or another large package are loaded only when they are
used. Where such a package is not installed, everything else still works.
"""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

__all__ = ["attach", "imported", "require"]

# Optional packages: name for people and name on PyPI, by name of the import.
_PACKAGES = {
    "array_record": ("array_record", "array_record"),
    "matplotlib": ("matplotlib", "matplotlib"),
    "tensorflow": ("TensorFlow", "tensorflow"),
    "tensorflow_datasets": ("TensorFlow Datasets", "tensorflow-datasets"),
}


def attach(
    package: str,
    submodules: Iterable[str] = (),
    names: Mapping[str, Iterable[str]] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`, which load names on first use.

    `dir(package)` lists the names in the package's `__all__`.

    Args:
        package: The package's `__name__`.
        submodules: Names of its modules to load on first use.
        names: Dict from a module of the package to the names in it to load on first
            use.
        renamed: Dict from former names in the package to present ones. Former names
            still work, with a `DeprecationWarning`.

    Examples:
        >>> getter, _ = attach("keras_prelu", names={"version": ["__version__"]})
        >>> getter("__version__") == keras_prelu.__version__
        True
    """
    submodules, renamed = set(submodules), renamed or {}
    modules = {
        name: module for module, contents in (names or {}).items() for name in contents
    }

    def load(name):
        user = f"{package}.{name}"
        if name in submodules:
            return imported(user, user)
        if name in modules:
            return getattr(imported(f"{package}.{modules[name]}", user), name)
        if name in renamed:
            warnings.warn(
                f"`{user}` is deprecated; use `{package}.{renamed[name]}`",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(sys.modules[package], renamed[name])
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def public_names():
        return sorted(sys.modules[package].__all__)

    return load, public_names


def imported(module: str, user: str) -> ModuleType:
    """Import a module, or say in one line which package is missing.

    Args:
        module: Full name of the module.
        user: Full name of the function or class that needs it.

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
        package, installed_as = _PACKAGES[missing]
        raise ModuleNotFoundError(
            f"`{user}` needs {package}, which is not installed: "
            f"pip install {installed_as}",
            name=missing,
        ) from error


def require(extra: str, *modules: str) -> list[ModuleType]:
    """Import modules that an extra of this package installs.

    Args:
        extra: Name of the extra in setup.cfg, for the error message.
        *modules: Full names of the modules.

    Returns:
        A list of the imported modules. An ImportError that names the extra is raised
        if a module is missing.

    Examples:
        >>> require("export", "json")
        [<module 'json' from ...>]
    """
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError as error:
        raise ImportError(
            f"This needs {', '.join(modules)}, which cannot be imported "
            f"({error}). Install it: pip install 'keras-prelu[{extra}]', or in a clone "
            f"of the repository: pip install '.[{extra}]'"
        ) from error
