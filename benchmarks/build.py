"""What building Model C costs beside keras VGG19: seconds and peak memory.

    python benchmarks/build.py [--rounds=3]

Each build has a process of its own, since a peak of memory cannot be reset.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _measure import machine, print_table
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each model is built.")
BUILD = flags.DEFINE_string("build", None, "Of a child process: the model to build.")
MODELS = ("keras.VGG19", "keras_prelu.ModelA", "keras_prelu.ModelC")


def _bytes_of_memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(s.split()[1]) * 1024 for s in lines if s.startswith(field))


def _build(name):
    """Builds one model and prints what it took, as JSON."""
    import keras

    import keras_prelu

    package, _, constructor = name.partition(".")
    applications = {"keras": keras, "keras_prelu": keras_prelu}[package].applications
    # What every process pays once is no part of a model's cost.
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
    found = {name: [] for name in MODELS}
    for _ in range(ROUNDS.value):
        for name in MODELS:
            command = [sys.executable, __file__, f"--build={name}"]
            result = subprocess.run(command, capture_output=True, check=True)
            found[name].append(json.loads(result.stdout.splitlines()[-1]))
    rows = []
    for name, runs in found.items():
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
            "peak / bytes of the weights",
        ),
        rows,
    )


if __name__ == "__main__":
    app.run(main)
