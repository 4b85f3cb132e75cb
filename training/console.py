"""Console output without the internal messages of TensorFlow and TFDS."""

import contextlib
import logging
import os
import pathlib
import re
import sys
import tempfile

from absl import logging as absl_logging

from training.errors import OUR_FOLDERS

_TENSORFLOW_MESSAGE = re.compile(
    rb"[IWE]\d{4} \d\d:|WARNING: All log messages before absl::InitializeLog"
)


@contextlib.contextmanager
def quiet_import():
    """Hide the messages of TensorFlow, which should be imported within the block.

    TensorFlow prints its first messages before it reads its log level. Its later
    messages and the INFO messages of other libraries stay hidden. Python's tracebacks
    and warnings are always shown, and with `--verbosity` everything is.
    """
    if any(re.match("--?(v|verbosity)(=|$)", argument) for argument in sys.argv):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    absl_logging.get_absl_handler().addFilter(_is_shown)
    logging.getLogger("tensorflow").addFilter(_is_shown)
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            messages.seek(0)
            for line in messages:
                if not _TENSORFLOW_MESSAGE.match(line):
                    os.write(2, line)


def _is_shown(record):
    path = pathlib.Path(record.pathname)
    is_ours = any(map(path.is_relative_to, OUR_FOLDERS))
    return is_ours or record.levelno >= logging.WARNING
