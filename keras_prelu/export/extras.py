"""Packages that only an export needs."""

import importlib


def require(extra, *modules):
    """Imports modules of an extra, or says how to install it.

    Args:
        extra: Name of the extra in setup.cfg.
        *modules: Their names.

    Returns:
        A list of the modules.

    Examples:
        >>> keras_prelu.export.extras.require("export", "json")
        [<module 'json' from ...>]
    """
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError as error:
        raise ImportError(
            f"This export needs {', '.join(modules)}, which cannot be imported "
            f"({error}). Install it: pip install 'keras-prelu[{extra}]'"
        ) from error
