"""What the benchmarks share: interleaved timing, and tables in Markdown."""

import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def machine():
    """Returns a line on what the figures were measured on."""
    import keras

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    backend = keras.backend.backend()
    return (
        f"{os.cpu_count()} cores of {names[0]}; Python {platform.python_version()}, "
        f"Keras {keras.version()} on {backend} {__import__(backend).__version__}"
    )


def interleaved(functions, rounds, warmup=1):
    """Times functions in turn, so that what else the machine does meets all alike.

    Args:
        functions: Functions without arguments that return when their work is done,
            by name.
        rounds: How often to call each.
        warmup: How many rounds before that to leave out.

    Returns:
        The median of the seconds of each function, by name.
    """
    seconds = {name: [] for name in functions}
    for i in range(warmup + rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if i >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_table(header, rows):
    """Prints a table in Markdown."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
