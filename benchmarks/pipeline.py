"""Speed of training batches, compared with only decoding the JPEGs.

    python benchmarks/pipeline.py

All pipelines read the same generated photographs of 500 x 375 pixels and about 100 KB.
They take turns within one run, and the table shows medians over the turns.
"""

import itertools
import pathlib
import resource
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf
from _measure import print_table
from _photographs import write_photographs
from PIL import Image

from keras_prelu import data
from keras_prelu.data.decoding import read_header
from keras_prelu.data.host_augmentation import augment
from keras_prelu.data.random_draws import draw
from keras_prelu.data.windows import canvas_side, crop_box, plan_window
from keras_prelu.platforms import usable_cores

IMAGES = 256
BATCH = 32
SIDE, SCALE = 224, (256, 512)
TURNS, SECONDS = 7, 1.5
CORES = usable_cores()
MEAN = (124.0, 117.0, 104.0)


def _files(source, decode):
    """Return batches of one number per image, so that no pixels are copied."""
    return (
        tf.data.Dataset.from_tensor_slices(source.paths)
        .repeat()
        .map(
            lambda path: decode(tf.io.read_file(path))[0, 0],
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(BATCH)
        .prefetch(2)
    )


def decode_whole(source):
    return _files(source, lambda content: tf.io.decode_jpeg(content, channels=3))


def entropy_decoding(source):
    # At 1/8 the decoder reads every coefficient and transforms one in 64.
    return _files(
        source, lambda content: tf.io.decode_jpeg(content, channels=3, ratio=8)
    )


def decode_windows(source):
    """Decode windows into batches, without reading, drawing or planning in Python.

    The limit for batches for the device. Every epoch has the windows of the first.
    """
    areas = np.zeros((len(source), 4), np.int32)
    for index in range(len(source)):
        header = read_header(source[index][0])
        drawn = draw(0, 0, index, SCALE)
        box = crop_box(header, drawn.shorter_side, drawn.position, SIDE)
        areas[index] = plan_window(header, box, SIDE)[0]["area"]

    def decode(path, area):  # no window here is reduced
        return tf.io.decode_and_crop_jpeg(
            tf.io.read_file(path), area, channels=3, dct_method="INTEGER_ACCURATE"
        )

    return (
        tf.data.Dataset.from_tensor_slices((source.paths, areas))
        .repeat()
        .map(decode, num_parallel_calls=CORES)
        .padded_batch(BATCH, [canvas_side(SIDE)] * 2 + [3])
        .prefetch(2)
    )


def drawn_for_device(source):
    return data.train_batches(source, BATCH, SIDE, SCALE)


def augmented_on_host(source):
    return data.train_batches(source, BATCH, SIDE, SCALE, augment_on="host")


def drawn_without_tensorflow(source):
    return data.train_batches(source, BATCH, SIDE, SCALE, reader="numpy")


def tf_image(source):
    """Return batches with the paper's augmentation, written with tf.image."""
    colors = tf.constant(data.IMAGENET_COMPONENTS.shift_matrix())

    def augment(path):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.cast(image, tf.float32)
        shorter = tf.random.uniform([], SCALE[0], SCALE[1] + 1, tf.int32)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        size *= tf.cast(shorter, tf.float32) / tf.reduce_min(size)
        image = tf.image.resize(image, tf.cast(tf.round(size), tf.int32))
        image = tf.image.random_crop(image, [SIDE, SIDE, 3])
        image = tf.image.random_flip_left_right(image)
        image += tf.linalg.matvec(colors, tf.random.normal([3], stddev=0.1))
        return image - tf.constant(MEAN)

    return (
        tf.data.Dataset.from_tensor_slices(source.paths)
        .repeat()
        .map(augment, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(2)
    )


def keras_layers(source):
    layers = keras.Sequential(
        [
            keras.layers.RandomCrop(SIDE, SIDE),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomColorJitter((0, 255), *[0.1] * 4),
        ]
    )
    return (
        keras.utils.image_dataset_from_directory(
            pathlib.Path(source.paths[0]).parents[1],
            batch_size=BATCH,
            image_size=(256, 256),
            verbose=False,
        )
        .repeat()
        .map(lambda x, y: (layers(x, training=True), y), tf.data.AUTOTUNE)
        .prefetch(2)
    )


def pillow(source):
    """Decode, resize and crop with Pillow, as torchvision does by default."""
    rng = np.random.default_rng(0)

    def augment(path):
        image = Image.open(path).convert("RGB")
        ratio = rng.integers(SCALE[0], SCALE[1] + 1) / min(image.size)
        size = [round(side * ratio) for side in image.size]
        image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (int(rng.integers(0, side - SIDE + 1)) for side in size)
        image = image.crop((left, top, left + SIDE, top + SIDE))
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image)

    with ThreadPoolExecutor(CORES) as pool:
        paths = itertools.cycle(source.paths)
        while True:
            yield np.stack(list(pool.map(augment, itertools.islice(paths, BATCH))))


PIPELINES = {
    "decode whole JPEGs, nothing else": decode_whole,
    "entropy decoding only (decode at 1/8)": entropy_decoding,
    "decode the windows into batches": decode_windows,
    "this package, `augment_on='device'`": drawn_for_device,
    "this package, `augment_on='host'`": augmented_on_host,
    "this package, `reader='numpy'`": drawn_without_tensorflow,
    "the paper's augmentation with tf.image": tf_image,
    "image_dataset_from_directory with Keras's random layers": keras_layers,
    "Pillow in threads": pillow,
}


def turn(batches):
    """Return images per second in one turn, and CPU milliseconds per image."""
    start, processor, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < start + SECONDS:
        next(batches)
        count += BATCH
    rate = count / (time.perf_counter() - start)
    return rate, 1000 * (time.process_time() - processor) / count


def medians(source):
    """Return the median turn of each pipeline.

    Each turn builds a new pipeline, because a waiting one would fill its buffers during
    the turns of the others.
    """
    turns = {name: [] for name in PIPELINES}
    for _ in range(TURNS):
        for name, make in PIPELINES.items():
            batches = iter(make(source))
            for _ in range(4):  # the first ones wait for the start
                next(batches)
            turns[name].append(turn(batches))
            del batches
    return {
        name: tuple(map(statistics.median, zip(*results, strict=True)))
        for name, results in turns.items()
    }


def milliseconds_per_image(augment_batch):
    """Return the median time of a function that augments a batch, for each image."""
    times = []
    for _ in range(12):
        start = time.perf_counter()
        augment_batch()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times) / BATCH


def device_milliseconds(source):
    """Return milliseconds per image of the device's part, run on the CPU here."""
    augmentation = tf.function(data.Augmentation(SIDE))
    drawn, _ = next(iter(drawn_for_device(source)))
    return milliseconds_per_image(lambda: augmentation(drawn))


def host_milliseconds(source):
    """Return milliseconds per image of the host's part, on one core."""
    [(drawn, _)] = drawn_for_device(source).take(1).as_numpy_iterator()
    images = [{name: column[i] for name, column in drawn.items()} for i in range(BATCH)]

    def augment_batch():
        for image in images:
            height, width = image["size"]
            augment(image["pixels"][:height, :width], image, SIDE)

    return milliseconds_per_image(augment_batch)


def memory_mebibytes(source, batch_size=128, steps=12):
    """Return the additional memory of the process at its peak, for training batches."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in data.train_batches(source, batch_size, SIDE, SCALE).take(steps):
        pass
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_photographs(root, IMAGES)
        source = data.from_directory(root)
        kilobytes = statistics.mean(len(source[i][0]) for i in range(IMAGES)) / 1000
        memory = memory_mebibytes(source)
        results = medians(source)
        # In this order: TensorFlow's threads stay busy for a while after their work.
        host, device = host_milliseconds(source), device_milliseconds(source)
    whole, whole_cost = results["decode whole JPEGs, nothing else"]
    print(f"{IMAGES} JPEGs of {kilobytes:.0f} KB on average, {CORES} cores\n")
    print_table(
        ("pipeline", "images/s", "relative", "CPU ms per image", "relative"),
        [
            (
                name,
                f"{rate:.0f}",
                f"{rate / whole:.2f}",
                f"{cost:.2f}",
                f"{cost / whole_cost:.2f}",
            )
            for name, (rate, cost) in results.items()
        ],
    )
    print(f"\nThe device's part, on the CPU: {device:.1f} ms per image.")
    print(f"The host's part, on one core: {host:.2f} ms per image.")
    print(f"Additional memory at the peak, batches of 128: {memory:.0f} MiB.")


if __name__ == "__main__":
    main()
