"""Time and peak memory of building Models A and C and Keras's VGG19.

    python benchmarks/build.py [--rounds=3]

Each build runs in a new process, because a process cannot reset its peak memory.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _measure import machine, print_table
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 3, "Number of builds of each model.")
BUILD = flags.DEFINE_string(
    "build", None, "Internal: the model that a child process builds."
)
MODELS = ("keras.VGG19", "keras_prelu.ModelA", "keras_prelu.ModelC")


def _bytes_of_memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(s.split()[1]) * 1024 for s in lines if s.startswith(field))


def _build(name):
    """Build one model and print its cost as JSON."""
    import keras

    import keras_prelu

    package, _, constructor = name.partition(".")
    applications = {"keras": keras, "keras_prelu": keras_prelu}[package].applications
    # The first model in a process also pays one-time costs.
    keras_prelu.applications.ModelA(width=1 / 64)
    before = _bytes_of_memory("VmRSS")
    start = time.perf_counter()
    model = getattr(applications, constructor)(weights=None)
    seconds = time.perf_counter() - start
    parameters = model.count_params()
    peak = _bytes_of_memory("VmHWM") - before
    print(json.dumps({"seconds": seconds, "parameters": parameters, "peak": peak}))


def main(_):
    if BUILD.value:
        _build(BUILD.value)
        return
    costs = {name: [] for name in MODELS}
    for _ in range(ROUNDS.value):
        for name in MODELS:
            command = [sys.executable, __file__, f"--build={name}"]
            result = subprocess.run(command, capture_output=True, check=True)
            costs[name].append(json.loads(result.stdout.splitlines()[-1]))
    rows = []
    for name, runs in costs.items():
        parameters = runs[0]["parameters"]
        seconds = statistics.median(run["seconds"] for run in runs)
        peak = statistics.median(run["peak"] for run in runs)
        rows.append(
            (
                name,
                f"{parameters / 1e6:.1f}",
                f"{seconds:.2f}",
                f"{seconds / parameters * 1e9:.1f}",
                f"{peak / (4 * parameters):.2f}",
            )
        )
    print(machine())
    print_table(
        (
            "model",
            "million parameters",
            "seconds",
            "ns per parameter",
            "peak memory / size of the weights",
        ),
        rows,
    )


if __name__ == "__main__":
    app.run(main)
