"""What the benchmarks share: interleaved timing, and tables in Markdown."""

import os
import platform
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# Of these a processor's speed depends more than its name tells.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine():
    """Returns a line on what the figures were measured on."""
    import keras

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    pairs = (line.partition(": ") for line in lines)
    fields = {name.strip(): value for name, _, value in pairs}
    found = [name for name in INSTRUCTIONS if name in fields.get("flags", "").split()]
    backend = keras.backend.backend()
    return (
        f"{os.cpu_count()} cores of {fields['model name']} ({', '.join(found)}); "
        f"Python {platform.python_version()}, "
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
    """Print a table in Markdown, each row as soon as it is measured."""
    from keras_prelu.tables import markdown_lines

    for line in markdown_lines(header, rows):
        print(line, flush=True)
