"""Throughput of applications/batch on two processes, compared with a plain loop.

    python benchmarks/batch.py [--images=512] [--width=0.5] [--batch_size=32]

Both ways score the same generated photographs with the same SavedModel, the signature
`classify` and batches of at most the same size. The loop reads each batch of files and
calls the signature, in one process with all cores. `applications.batch.score` runs on
Beam's local runner. Its start (two interpreters, TensorFlow and the model) does not
depend on the number of images, so it is measured with few images and reported beside.
Needs `pip install '.[batch]'`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from _measure import machine, print_table
from absl import app, flags

IMAGES = flags.DEFINE_integer("images", 512, "Number of images.")
WIDTH = flags.DEFINE_float("width", 0.5, "Width of Model A.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Largest number of images at once.")
PROCESSES = flags.DEFINE_list("processes", ["1", "2"], "Numbers of worker processes.")
FEW = 8  # images of the runs that measure the start

ROOT = pathlib.Path(__file__).parents[1]


def make_images(folder, count):
    import numpy as np
    from _photographs import photograph

    folder.mkdir()
    rng = np.random.default_rng(0)
    contents = [photograph(rng, 500, 375) for _ in range(32)]
    for number in range(count):
        content = contents[number % len(contents)]
        (folder / f"{number:05}.jpg").write_bytes(content)


def seconds_of_loop(version, folder):
    """Return the seconds in which a loop scores all images, after a first batch."""
    import tensorflow as tf

    classify = tf.saved_model.load(version).signatures["classify"]
    paths = sorted(folder.iterdir())
    batches = range(0, len(paths), BATCH_SIZE.value)

    def score(start):
        chosen = paths[start : start + BATCH_SIZE.value]
        answer = classify(image_bytes=tf.constant([p.read_bytes() for p in chosen]))
        return answer["classes"].numpy()

    score(0)
    start = time.perf_counter()
    for position in batches:
        score(position)
    return time.perf_counter() - start


def seconds_of_beam(version, folder, output, processes):
    """Return the seconds of the pipeline, with the start of its workers."""
    command = [
        *(sys.executable, "-m", "applications.batch.score"),
        *(f"--model={version}", f"--input={folder}", f"--output={output}"),
        f"--max_batch_size={BATCH_SIZE.value}",
        f"--direct_num_workers={processes}",
        "--direct_running_mode=multi_processing",
    ]
    threads = str(max(1, os.cpu_count() // int(processes)))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_NUM_INTRAOP_THREADS": threads,
    }
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    return json.loads((output / "totals.json").read_text())["seconds"]


def main(_):
    import keras_prelu

    model = keras_prelu.applications.ModelA(width=WIDTH.value)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        version = keras_prelu.export.saved_model(model, folder / "served")
        make_images(folder / "few", FEW)
        make_images(folder / "all", IMAGES.value)
        loop = IMAGES.value / seconds_of_loop(version, folder / "all")
        rows = [("plain loop", f"{loop:.1f}", "1.00", "")]
        for processes in PROCESSES.value:
            name = "1 process" if processes == "1" else f"{processes} processes"
            start, whole = (
                seconds_of_beam(version, folder / x, folder / name / x, processes)
                for x in ("few", "all")
            )
            speed = (IMAGES.value - FEW) / (whole - start)
            rows.append((name, f"{speed:.1f}", f"{speed / loop:.2f}", f"{start:.1f}"))
    print(machine())
    print(f"Model A, width {WIDTH.value}, 224x224, {IMAGES.value} images of 500x375")
    print_table(("way", "images/s", "relative to the loop", "seconds to start"), rows)


if __name__ == "__main__":
    app.run(main)
