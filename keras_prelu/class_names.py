"""The check of arguments that are lists of class names."""

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["checked_class_names"]


def checked_class_names(class_names: Iterable[str]) -> list[str]:
    """Return class names as a list, or refuse what is not a list of strings.

    Args:
        class_names: An iterable of strings, but not a string, whose letters would
            become names.

    Examples:
        >>> checked_class_names(("cat", "dog"))
        ['cat', 'dog']
    """
    is_list = np.iterable(class_names) and not isinstance(class_names, str)
    names: list[Any] = list(class_names) if is_list else [None]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(
            "Argument `class_names` must be a list of strings. "
            f"Received: class_names={class_names!r}"
        )
    return names
