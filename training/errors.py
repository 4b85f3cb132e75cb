"""How the programs end: with a code, and with one line for what a user can mend."""

import contextlib
import sys
import textwrap

from absl import flags

BAD_INPUT = 2
NOT_FINITE = 3

# ml_collections tells of a key that there is not by an AttributeError.
_USER_ERRORS = (
    flags.Error,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
)

flags.DEFINE_bool("traceback", False, "Whether errors show where they come from.")


@contextlib.contextmanager
def in_one_line(kinds=_USER_ERRORS):
    """Ends the process with code 2 and a line, unless `--traceback` was given.

    Args:
        kinds: Tuple of exceptions, of which this is true.
    """
    try:
        yield
    except kinds as error:
        # Not by the flag: it may be the flags that cannot be read.
        if "--traceback" in sys.argv:
            raise
        is_key = isinstance(error, KeyError)  # whose text is the key alone
        text = f"unknown key {error.args[0]}" if is_key else str(error)
        text = textwrap.shorten(text, 1000)
        print(f"error: {text} (--traceback shows where)", file=sys.stderr)
        sys.exit(BAD_INPUT)
