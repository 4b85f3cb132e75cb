"""Lists the pictures of a folder that cannot be used, and why.

    python -m keras_prelu.data.check DIR

DIR holds a folder a class. The exit status is 1 if there are any.
"""

import argparse
import sys
import types

from keras_prelu.data.bad_images import check
from keras_prelu.data.file_source import from_directory


def main(arguments=None):
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_prelu.data.check", description=__doc__.splitlines()[0]
    )
    parser.add_argument("directory", metavar="DIR", help="holds a folder a class")
    options = parser.parse_args(arguments)
    try:
        source = from_directory(options.directory)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    report = check(source, verbose=sys.stderr.isatty())
    print(report)
    return 1 if report else 0


class _CallableModule(types.ModuleType):
    __call__ = staticmethod(check)


# Importing this module puts it in the place of the function `keras_prelu.data.check`.
sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    sys.exit(main())
