"""Dense testing beside its convolutions alone, ten views, and a window at a time.

    python benchmarks/dense.py [--size=480] [--rounds=5] [--windows=16]

Model A at full width, in float32, one image of size x size without its mirror image.
The net on every window cut from the image is timed on a sample of the windows, run as
one batch, and the time of all is extrapolated from it.

The limit is arithmetic: the convolutions over the whole image, and the fully connected
layers on every window. Each of a window's 63 bins meets its own part of fc1's kernel,
so no two windows share a product. "rate" is multiply-adds a second, in units of that of
the convolutions alone: how near the limit a way is.
"""

from _measure import interleaved, machine, print_table
from absl import app, flags

SIZE = flags.DEFINE_integer("size", 480, "Height and width of the image.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each way is timed.")
WINDOWS = flags.DEFINE_integer("windows", 16, "Windows that are timed, out of all.")
STRIDE = 16  # pixels for one cell of the last map


def _convolutions(size):
    """Returns the multiply-adds of model A's convolutions on a size x size image."""
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
            "its convolutions alone": lambda: trunk(image),
            "dense": lambda: whole(image),
            "ten views at 256": lambda: crops(cut[:10]),
            "every window cut out": lambda: crops(cut),
        },
        ROUNDS.value,
    )
    seconds["every window cut out"] *= len(corners) / len(cut)
    convolutions = _convolutions(size)
    net = keras_prelu.analysis.multiply_adds(model)
    top = net - _convolutions(224)
    work = {
        "its convolutions alone": convolutions,
        "dense": convolutions + len(corners) * top,
        "ten views at 256": 10 * net,
        "every window cut out": len(corners) * net,
    }
    alone = "its convolutions alone"
    print(machine())
    print(
        f"Model A, float32, one image of {size}x{size}: {len(corners)} windows; "
        f"the last row is extrapolated from {len(cut)} of them"
    )
    print_table(
        ("way", "seconds", "of the convolutions", "multiply-adds", "of them", "rate"),
        [
            (
                way,
                f"{seconds[way]:.2f}",
                f"{seconds[way] / seconds[alone]:.2f}",
                f"{work[way]:.3g}",
                f"{work[way] / convolutions:.2f}",
                f"{work[way] / convolutions * seconds[alone] / seconds[way]:.2f}",
            )
            for way in seconds
        ],
    )
    faster = seconds["every window cut out"] / seconds["dense"]
    print(f"Dense is {faster:.1f} times as fast as every window cut out.")


if __name__ == "__main__":
    app.run(main)
