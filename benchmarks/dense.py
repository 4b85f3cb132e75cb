"""Speed of dense testing, compared with its convolutions, ten views and single windows.

    python benchmarks/dense.py [--size=480] [--rounds=5] [--windows=16]

Tests Model A at full width, in float32, on one image of size x size without its mirror
image. The time for every window cut out of the image is extrapolated from a sample of
windows, which runs as one batch.

Dense testing needs at least the convolutions over the whole image and the fully
connected layers on every window: each of a window's 63 bins meets its own part of fc1's
kernel, so no two windows share a product. The last column shows how close each way
comes to the speed of the convolutions, in multiply-adds per second.
"""

from _measure import interleaved, machine, print_table
from absl import app, flags

SIZE = flags.DEFINE_integer("size", 480, "Height and width of the image.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Number of timings of each way.")
WINDOWS = flags.DEFINE_integer("windows", 16, "Number of windows in the sample.")
STRIDE = 16  # pixels per cell of the last map
ALONE = "convolutions alone"
CUT_OUT = "every window cut out"


def _convolutions(size):
    """Return the multiply-adds of Model A's convolutions on a size x size image."""
    import keras_prelu
    from keras_prelu.keras_internals import shapes_only

    with shapes_only():
        trunk = keras_prelu.applications.ModelA(
            include_top=False, input_shape=(size, size, 3)
        )
        return keras_prelu.analysis.multiply_adds(trunk)


def main(_):
    import keras
    import numpy as np

    import keras_prelu
    from keras_prelu.evaluation.batch_predictor import runner

    model = keras_prelu.applications.ModelA()
    dense = keras_prelu.evaluation.dense_model(model)
    trunk = runner(keras.Model(dense.inputs, dense.layers[-1].input))
    whole, crops = runner(dense), runner(model)
    size = SIZE.value
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3))
    image = image.astype("float32")
    starts = range(0, size - 224 + 1, STRIDE)
    corners = [(y, x) for y in starts for x in starts]
    cut = np.concatenate(
        [image[:, y : y + 224, x : x + 224] for y, x in corners[: WINDOWS.value]]
    )
    seconds = interleaved(
        {
            ALONE: lambda: trunk(image),
            "dense": lambda: whole(image),
            "ten views at 256": lambda: crops(cut[:10]),
            CUT_OUT: lambda: crops(cut),
        },
        ROUNDS.value,
    )
    seconds[CUT_OUT] *= len(corners) / len(cut)
    convolutions = _convolutions(size)
    net = keras_prelu.analysis.multiply_adds(model)
    top = net - _convolutions(224)
    work = {
        ALONE: convolutions,
        "dense": convolutions + len(corners) * top,
        "ten views at 256": 10 * net,
        CUT_OUT: len(corners) * net,
    }
    print(machine())
    print(
        f"Model A, float32, one image of {size}x{size}: {len(corners)} windows; "
        f"the last row is extrapolated from {len(cut)} of them"
    )
    print_table(
        (
            "way to test",
            "seconds",
            "relative to the convolutions",
            "multiply-adds",
            "relative to the convolutions",
            "multiply-adds per second, relative",
        ),
        [
            (
                way,
                f"{seconds[way]:.2f}",
                f"{seconds[way] / seconds[ALONE]:.2f}",
                f"{work[way]:.3g}",
                f"{work[way] / convolutions:.2f}",
                f"{work[way] / convolutions * seconds[ALONE] / seconds[way]:.2f}",
            )
            for way in seconds
        ],
    )
    faster = seconds[CUT_OUT] / seconds["dense"]
    print(f"Dense testing is {faster:.1f} times as fast as every window cut out.")


if __name__ == "__main__":
    app.run(main)
