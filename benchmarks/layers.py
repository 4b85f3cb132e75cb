"""Time of PReLU, Keras's PReLU and ReLU on a map of 16x56x56x256.

    python benchmarks/layers.py [--rounds=25]

Prints the milliseconds of a forward pass, and of a forward and backward pass together,
in float32 and bfloat16. Memory bandwidth is the limit: a forward pass reads and writes
one map; a backward pass reads two maps and writes one.
"""

from _measure import interleaved, machine, print_table
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 25, "Number of timed turns of each layer.")
REPEATS = 5  # calls of a function before the next one's turn
SHAPE = (16, 56, 56, 256)


def _maps(dtype):
    """Return a map and its upstream gradient, the same memory for all layers."""
    import tensorflow as tf

    return tuple(tf.cast(tf.random.normal(SHAPE), dtype) for _ in range(2))


def _steps(layer, x, upstream):
    """Return functions for a forward pass and for a forward and backward pass."""
    import tensorflow as tf

    layer.build(SHAPE)
    slopes = [variable.value for variable in layer.trainable_variables]

    @tf.function
    def forward():
        return layer(x)

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, [x, *slopes], output_gradients=upstream)

    return forward, both


def _copy(x):
    """Return a function that reads one map and writes one, as fast as possible."""
    import tensorflow as tf

    return tf.function(lambda: -x)


def _repeated(call):
    """Return a function that calls another several times.

    The first call finds the memory in the state that the function before has left.
    """

    def turn():
        for _ in range(REPEATS):
            call()

    return turn


def main(_):
    import keras

    import keras_prelu

    rows = []
    for dtype in ("float32", "bfloat16"):
        kinds = {
            "keras ReLU": keras.layers.ReLU(dtype=dtype),
            "keras PReLU(shared_axes=[1, 2])": keras.layers.PReLU(
                shared_axes=[1, 2], dtype=dtype
            ),
            "keras_prelu PReLU": keras_prelu.layers.PReLU(dtype=dtype),
            "keras_prelu PReLU(shared=True)": keras_prelu.layers.PReLU(
                shared=True, dtype=dtype
            ),
        }
        x, upstream = _maps(dtype)
        functions = {"one read, one write": _copy(x)}
        for name, layer in kinds.items():
            functions[name, 0], functions[name, 1] = _steps(layer, x, upstream)
        turns = {name: _repeated(call) for name, call in functions.items()}
        seconds = interleaved(turns, ROUNDS.value, warmup=2)
        seconds = {name: turn / REPEATS for name, turn in seconds.items()}
        copy = seconds.pop("one read, one write")
        relu = seconds["keras ReLU", 0]
        stock = seconds["keras PReLU(shared_axes=[1, 2])", 1]
        for name in kinds:
            forward, both = seconds[name, 0], seconds[name, 1]
            rows.append(
                (
                    dtype,
                    name,
                    f"{forward * 1e3:.1f}",
                    f"{forward / copy:.1f}",
                    f"{forward / relu:.2f}",
                    f"{both * 1e3:.1f}",
                    f"{both / stock:.2f}",
                )
            )
    print(machine())
    print_table(
        (
            "dtype",
            "layer",
            "forward, ms",
            "forward / time to read and write a map",
            "forward / time of keras ReLU",
            "forward + backward, ms",
            "forward + backward / time of keras PReLU",
        ),
        rows,
    )


if __name__ == "__main__":
    app.run(main)
