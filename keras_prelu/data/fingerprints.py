"""Fingerprints of data: digests, and the differences between two fingerprints."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["differences", "digest", "digest_of_array", "digest_of_integers"]


def digest(parts: Iterable[bytes]) -> str:
    """Return 16 hexadecimal digits that depend on byte strings and their order.

    Args:
        parts: Byte strings without zero bytes, such as file names.

    Examples:
        >>> digest([b"ant/1.jpg", b"bee/2.jpg"])
        'cb62224157e654e0'
    """
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def digest_of_integers(integers: Iterable[int]) -> str:
    """Return the `digest` of some integers.

    Args:
        integers: The integers.
    """
    return digest(str(integer).encode() for integer in integers)


def digest_of_array(array: np.ndarray) -> str:
    """Return 16 hexadecimal digits that depend on the values of an array.

    Args:
        array: The array.
    """
    # A view: a copy of all images of a set may not fit in memory.
    values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return hashlib.sha256(values.data).hexdigest()[:16]


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Describe the differences between two fingerprints, for people to read.

    Args:
        before: The result of `Source.fingerprint`, possibly read back from JSON.
        now: The fingerprint of the present data.

    Returns:
        A list of strings, one for each difference. It is empty if the data are equal.

    Examples:
        >>> before = {"count": 3, "class_names": ["ant", "bee"], "files": {"ant": "x"}}
        >>> now = {"count": 2, "class_names": ["ant", "fly"], "files": {"ant": "y"}}
        >>> for line in differences(before, now):
        ...     print(line)
        count: 3 before, 2 now
        class_names: without 'bee', with 'fly'
        files.ant: x before, y now
    """
    old, new = dict(_leaves(before)), dict(_leaves(now))
    return [
        f"{key}: {_difference(old.get(key), new.get(key))}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def _leaves(fingerprint, prefix=""):
    """Yield (key, value) of every value that is not a dict, keys joined by dots."""
    for key, value in fingerprint.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _difference(old, new):
    if not isinstance(old, list) or not isinstance(new, list):
        old, new = ("none" if value is None else value for value in (old, new))
        return f"{old} before, {new} now"
    removed, added = (
        ", ".join(repr(name) for name in names if name not in others)
        for names, others in ((old, set(new)), (new, set(old)))
    )
    changes = [f"without {removed}"] * bool(removed) + [f"with {added}"] * bool(added)
    return ", ".join(changes) or "in another order"
