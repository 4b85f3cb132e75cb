"""Helpers of the benchmarks: interleaved timing, and Markdown tables."""

import os
import platform
import random
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# These instructions affect speed more than the processor's name suggests.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine():
    """Return a line that describes the hardware and the versions."""
    import keras

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    pairs = (line.partition(": ") for line in lines)
    fields = {name.strip(): value for name, _, value in pairs}
    flags = fields.get("flags", "").split()
    instructions = ", ".join(name for name in INSTRUCTIONS if name in flags)
    backend = keras.backend.backend()
    return (
        f"{os.cpu_count()} cores of {fields['model name']} ({instructions}); "
        f"Python {platform.python_version()}, "
        f"Keras {keras.version()} on {backend} {__import__(backend).__version__}"
    )


def interleaved(functions, rounds, warmup=1):
    """Time functions in turn, so that other load on the machine affects all equally.

    The order is drawn anew in each round, because a function that runs after one with
    large results finds less free memory at hand.

    Args:
        functions: Dict from names to functions without arguments, which return when
            their work is done.
        rounds: Number of timed calls of each function.
        warmup: Number of calls of each function before the timed ones.

    Returns:
        A dict from names to the median seconds of a call.
    """
    seconds = {name: [] for name in functions}
    rng = random.Random(0)
    for i in range(warmup + rounds):
        for name, function in rng.sample(list(functions.items()), len(functions)):
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
