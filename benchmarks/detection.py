"""Time of a Fast R-CNN detector's parts, and of its training step.

    python benchmarks/detection.py [--net=model_a] [--width=1.0] [--height=600]
        [--image_width=1000] [--regions=2000] [--rounds=5] [--steps=0]

Runs the convolutions, region pooling and the fully connected layers on one image in
float32. Pooling should take at most a quarter of the time of the others. `--steps`
also takes some training steps on two such images with 64 regions each.
"""

import time

from _measure import interleaved, machine, print_table
from absl import app, flags

NET = flags.DEFINE_string("net", "model_a", "Name of the net.")
WIDTH = flags.DEFINE_float("width", 1.0, "Width of the net.")
HEIGHT = flags.DEFINE_integer("height", 600, "Height of the image.")
IMAGE_WIDTH = flags.DEFINE_integer("image_width", 1000, "Width of the image.")
REGIONS = flags.DEFINE_integer("regions", 2000, "Number of regions.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Number of timings of each part.")
STEPS = flags.DEFINE_integer("steps", 0, "Number of training steps.")
CLASSES = 20
LIMIT = 0.25  # of the time of convolutions and fully connected layers


def random_boxes(count, height, width):
    """Return boxes of all sizes."""
    import numpy as np

    rng = np.random.default_rng(0)
    size = np.array([width, height])
    corners = np.sort(rng.uniform(0, 1, (2, count, 2)), axis=0)
    corners[1] = np.minimum(corners[1] + 0.02, 1)
    return np.concatenate(list(corners * size), axis=-1).astype("float32")


def parts(detector):
    """Return the detector's convolutions, pooling and fully connected layers."""
    import keras

    pooling = detector.get_layer("region_pooling")
    maps, boxes = pooling.input
    convolutions = keras.Model(detector.input["images"], maps)
    rows = detector.get_layer("fc1").input
    head = keras.Model([rows, boxes], [*detector.outputs])
    return convolutions, pooling, head


def measure(detector):
    """Return the seconds of each part, and of the detector as a whole."""
    import numpy as np
    import tensorflow as tf
    from keras import ops

    height, width = (-(-side // 32) * 32 for side in (HEIGHT.value, IMAGE_WIDTH.value))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, height, width, 3)).astype("float32")
    boxes = random_boxes(REGIONS.value, HEIGHT.value, IMAGE_WIDTH.value)[None]
    images, boxes = tf.constant(images), tf.constant(boxes)
    convolutions, pooling, head = map(tf.function, parts(detector))
    whole = tf.function(detector)
    maps = convolutions(images)
    pooled = ops.reshape(pooling(maps, boxes), (REGIONS.value, -1))
    return interleaved(
        {
            "convolutions": lambda: convolutions(images),
            "region pooling": lambda: pooling(maps, boxes),
            "fully connected layers": lambda: head([pooled, boxes]),
            "the detector": lambda: whole({"images": images, "boxes": boxes}),
        },
        ROUNDS.value,
    )


def train(detector):
    """Print the loss and the time of some training steps on random images."""
    import numpy as np

    from keras_prelu import detection
    from keras_prelu.optimizers import SGD

    rng = np.random.default_rng(0)
    size = (2, HEIGHT.value // 32 * 32, IMAGE_WIDTH.value // 32 * 32, 3)
    boxes = [random_boxes(64, *size[1:3]) for _ in range(2)]
    labels = rng.integers(0, CLASSES + 1, (2, 64)) * (np.arange(64) < 16)
    deltas = rng.normal(0, 0.1, (2, 64, 4))
    detector.compile(SGD(0.001), loss=detection.losses(detector), jit_compile=False)
    inputs = {"images": rng.integers(0, 256, size).astype("uint8")}
    inputs["boxes"] = np.stack(boxes)
    targets = {"scores": labels}
    targets["deltas"] = np.concatenate([labels[..., None], deltas], -1).astype("f4")
    rows = []
    for step in range(STEPS.value):
        start = time.perf_counter()
        loss = detector.train_on_batch(inputs, targets, return_dict=True)["loss"]
        rows.append((step + 1, f"{loss:.3f}", f"{time.perf_counter() - start:.1f}"))
    print_table(("step", "loss", "seconds"), rows)


def main(_):
    from keras_prelu import detection
    from keras_prelu.applications import CONSTRUCTORS

    net = CONSTRUCTORS[NET.value](width=WIDTH.value)
    detector = detection.fast_rcnn(net, CLASSES)
    del net
    print(machine())
    print(
        f"{NET.value}, width {WIDTH.value:g}, float32, an image of {HEIGHT.value} x "
        f"{IMAGE_WIDTH.value} pixels, {REGIONS.value} regions"
    )
    seconds = measure(detector)
    others = seconds["convolutions"] + seconds["fully connected layers"]
    print_table(
        ("part", "seconds", "relative to convolutions and fully connected layers"),
        [(name, f"{s:.3f}", f"{s / others:.2f}") for name, s in seconds.items()],
    )
    fraction = seconds["region pooling"] / (LIMIT * others)
    print(f"Region pooling takes {fraction:.0%} of the time that is allowed.")
    if STEPS.value:
        train(detector)


if __name__ == "__main__":
    app.run(main)
