"""How the programs end: with a code, and with one line for what a user can mend."""

import contextlib
import dis
import importlib.util
import pathlib
import sys
import textwrap

from absl import flags

BAD_INPUT = 2
NOT_FINITE = 3
NOT_WRITTEN = 74  # sysexits.h's EX_IOERR

_PROGRAMS = pathlib.Path(__file__).parent
_OURS = (
    # Found, not imported: the clients of a server do without Keras.
    pathlib.Path(importlib.util.find_spec("keras_prelu").origin).parent,
    _PROGRAMS,
    _PROGRAMS.with_name("applications"),
)

flags.DEFINE_bool("traceback", False, "Whether errors show where they come from.")


@contextlib.contextmanager
def in_one_line(also=()):
    """Ends the process with code 2 and a line for an error that a user can mend.

    All others, and with `--traceback` all, are raised: a bug of ours must not look like
    a mistake of the user's.

    Args:
        also: Further types of exceptions that are the user's here.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, also) or _is_the_users(error):
            end(error, BAD_INPUT)
        raise


@contextlib.contextmanager
def when_not_written(advice):
    """Ends the process with code 74 and a line for a file that cannot be written.

    Args:
        advice: String. What to do when there is room again.
    """
    try:
        yield
    except OSError as error:
        end(error, NOT_WRITTEN, f"; {advice}")
        raise


def end(error, code, advice=""):
    """Prints a line and ends the process, unless `--traceback` was given."""
    # Not by the flag: it may be the flags that cannot be read.
    if "--traceback" in sys.argv:
        return
    is_key = isinstance(error, KeyError)  # whose text is the key alone
    text = f"unknown key {error.args[0]}" if is_key else str(error)
    text = textwrap.shorten(text, 1000) + advice
    print(f"error: {text} (--traceback shows where)", file=sys.stderr)
    sys.exit(code)


def _is_the_users(error):
    if isinstance(error, (flags.Error, OSError)):
        return True
    # Of ValueErrors those that our code raises on purpose: Keras, NumPy and an
    # expression of ours that fails raise them too.
    return isinstance(error, (ValueError, ImportError)) and _is_raised_by_us(error)


def _is_raised_by_us(error):
    """Whether a `raise` statement of this project made an exception."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    instruction = dis.opname[code.co_code[trace.tb_lasti]]
    path = pathlib.Path(code.co_filename)
    return instruction == "RAISE_VARARGS" and any(map(path.is_relative_to, _OURS))
