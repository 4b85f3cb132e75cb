"""Telling whether two runs read the same data: digests, and what has changed."""

import hashlib


def digest(parts):
    """Returns 16 hexadecimal digits that depend on byte strings and their order.

    Args:
        parts: Iterable of bytes without zero bytes in them, such as file names.

    Examples:
        >>> digest([b"ant/1.jpg", b"bee/2.jpg"])
        'cb62224157e654e0'
    """
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def digest_of_integers(integers):
    """Returns the `digest` of some integers."""
    return digest(str(integer).encode() for integer in integers)


def differences(before, now):
    """Tells people what has changed between two fingerprints.

    Args:
        before: What `Source.fingerprint` returned, possibly read from JSON since.
        now: The same for the present data.

    Returns:
        A list of strings, one for each difference; empty if the data are the same.

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
    """Yields (key, value) of all that is not a dict, keys joined by dots."""
    for key, value in fingerprint.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _difference(old, new):
    if not isinstance(old, list) or not isinstance(new, list):
        told = ["none" if value is None else value for value in (old, new)]
        return f"{told[0]} before, {told[1]} now"
    gone, added = (
        ", ".join(repr(name) for name in names if name not in others)
        for names, others in ((old, set(new)), (new, set(old)))
    )
    changes = [f"without {gone}"] * bool(gone) + [f"with {added}"] * bool(added)
    return ", ".join(changes) or "in another order"
