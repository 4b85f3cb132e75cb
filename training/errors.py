"""Exit codes of the programs, and one line for errors that a user can correct."""

import contextlib
import importlib.util
import pathlib
import sys
import textwrap
import traceback

from absl import flags

BAD_INPUT = 2
NOT_FINITE = 3
NOT_WRITTEN = 74  # EX_IOERR of sysexits.h

_PROGRAMS = pathlib.Path(__file__).parent
OUR_FOLDERS = (
    # Not imported, since the REST client works without Keras.
    pathlib.Path(importlib.util.find_spec("keras_prelu").origin).parent,
    _PROGRAMS,
    _PROGRAMS.with_name("applications"),
)

flags.DEFINE_bool("traceback", False, "Whether to show the traceback of every error.")


@contextlib.contextmanager
def in_one_line(also=()):
    """End the process with code 2 and one line if the user can correct an error.

    All other errors are raised, and with `--traceback` all errors are, because a bug of
    this project must not look like a mistake of the user.

    Args:
        also: Further types of exceptions that the user can correct here.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, also) or _can_be_corrected(error):
            end(error, BAD_INPUT)
        raise


@contextlib.contextmanager
def when_not_written(advice):
    """End the process with code 74 and one line if a file cannot be written.

    Args:
        advice: String. What to do when the disk has space again.
    """
    try:
        yield
    except OSError as error:
        end(error, NOT_WRITTEN, f"; {advice}")
        raise


def end(error, code, advice=""):
    """Print one line and end the process, unless `--traceback` was given."""
    # The flag cannot be used if reading the flags has failed.
    if "--traceback" in sys.argv:
        return
    is_key = isinstance(error, KeyError)  # its text is only the key
    text = f"unknown key {error.args[0]}" if is_key else str(error)
    if isinstance(error, flags.Error) and "Traceback" in text:
        text = text.splitlines()[-1]  # the error of a recipe, without its traceback
    text = textwrap.shorten(text, 1000) + advice
    print(f"error: {text} (--traceback shows where)", file=sys.stderr)
    sys.exit(code)


def _can_be_corrected(error):
    if isinstance(error, (flags.Error, OSError)):
        return True
    # Keras, NumPy and the bugs of this project raise ValueError too.
    return isinstance(error, (ValueError, ImportError)) and _is_raised_by_us(error)


def _is_raised_by_us(error):
    """Return whether a `raise` statement of this project raised an error."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    is_ours = any(map(pathlib.Path(last.filename).is_relative_to, OUR_FOLDERS))
    return is_ours and last.line.startswith("raise ")
