"""What `import keras_prelu` costs beside `import keras`, in seconds.

    python benchmarks/imports.py [--rounds=5]

Each import has a process of its own.
"""

import subprocess
import sys

from _measure import interleaved, machine, print_table
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each is imported.")


def _importing(package):
    command = [sys.executable, "-c", f"import {package}"]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def main(_):
    packages = ("keras", "keras_prelu")
    functions = {package: _importing(package) for package in packages}
    seconds = interleaved(functions, ROUNDS.value)
    print(machine())
    print_table(
        ("import", "seconds", "more than keras"),
        [
            (
                package,
                f"{seconds[package]:.2f}",
                f"{seconds[package] - seconds['keras']:.2f}",
            )
            for package in packages
        ],
    )


if __name__ == "__main__":
    app.run(main)
