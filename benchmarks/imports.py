"""Seconds that `import keras_prelu` and `import keras` take.

    python benchmarks/imports.py [--rounds=5]

Each import runs in a new process.
"""

import subprocess
import sys

from _measure import interleaved, machine, print_table
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 5, "Number of imports of each package.")


def _importing(package):
    command = [sys.executable, "-c", f"import {package}"]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def main(_):
    packages = ("keras", "keras_prelu")
    functions = {package: _importing(package) for package in packages}
    seconds = interleaved(functions, ROUNDS.value)
    print(machine())
    print_table(
        ("import", "seconds", "seconds more than keras"),
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
