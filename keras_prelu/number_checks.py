"""Checks of arguments that are numbers."""

import math
from typing import Any

import numpy as np

__all__ = ["check_integer", "check_fraction", "is_integer", "is_position", "is_real"]


def is_integer(value: Any, least: int | None = None) -> bool:
    """Return whether a value is an integer of Python or NumPy, and not a boolean.

    Args:
        value: The value.
        least: The smallest integer to accept. Defaults to any.

    Examples:
        >>> is_integer(np.int64(3)), is_integer(0, least=1), is_integer(True)
        (True, False, False)
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and (least is None or bool(value >= least))


def check_integer(name: str, value: Any, least: int, or_none: bool = False) -> None:
    """Raise a ValueError for what is not an integer of at least `least`.

    Args:
        name: The argument's name.
        value: Its value.
        least: The smallest integer to accept.
        or_none: Whether to accept `None` too.
    """
    if not is_integer(value, least) and not (or_none and value is None):
        kind = "None or an integer" if or_none else "an integer"
        raise ValueError(
            f"Argument `{name}` must be {kind} of at least {least}. "
            f"Received: {name}={value!r}"
        )


def is_position(value: Any, length: int) -> bool:
    """Return whether a value is an integer in 0 ... `length - 1`.

    Args:
        value: The value.
        length: Number of positions.
    """
    return is_integer(value, least=0) and value < length


def is_real(value: Any) -> bool:
    """Return whether a value is a finite number of Python or NumPy, and not a boolean.

    Args:
        value: The value.

    Examples:
        >>> is_real(3), is_real(np.float32(0.5)), is_real(float("nan")), is_real(True)
        (True, True, False, False)
    """
    is_number = is_integer(value) or isinstance(value, float | np.floating)
    return is_number and math.isfinite(value)


def check_fraction(name: str, value: Any) -> None:
    """Raise a ValueError for what is not a number in [0, 1].

    Args:
        name: The argument's name.
        value: Its value.
    """
    if not is_real(value) or not 0 <= value <= 1:
        raise ValueError(
            f"Argument `{name}` must be a number in [0, 1]. Received: {name}={value!r}"
        )
