"""Speed of training and inference on an accelerator, or on the CPU.

    KERAS_BACKEND=jax python benchmarks/accelerator.py --peak=989

Times compiled steps of models A, B and C with PReLU and ReLU, and of Keras's VGG19, on
one batch of random images that stays on the device. `--peak` is the device's TFLOP/s in
the dtype; the last column is the fraction of it that the multiplications of the
convolutions and fully connected layers reach. A training step counts as three forward
passes. Each row runs in a process of its own, so that memory is counted from zero, and
so that a batch that does not fit ends only its own row. On PyTorch the steps are not
compiled. The last line is the speed of the pipeline that has to feed the device.
"""

import concurrent.futures
import functools
import multiprocessing
import pathlib
import resource
import statistics
import tempfile
import time
from typing import NamedTuple

from _measure import machine, print_table
from _photographs import write_photographs
from absl import app, flags

MODELS = flags.DEFINE_list(
    "models",
    "ModelA/prelu,ModelA/relu,ModelB/prelu,ModelB/relu,ModelC/prelu,ModelC/relu,VGG19",
    "Constructors, those of this package with the activation.",
)
BATCHES = flags.DEFINE_list("batches", "32,64,128,256", "Batch sizes.")
DTYPES = flags.DEFINE_list("dtypes", "float32,mixed_bfloat16", "Dtype policies.")
SIDE = flags.DEFINE_integer("image_size", 224, "Height and width of the images.")
WIDTH = flags.DEFINE_float("width", 1.0, "Width of the models of this package.")
ROUNDS = flags.DEFINE_integer("rounds", 20, "Number of timed calls.")
PEAK = flags.DEFINE_float("peak", None, "TFLOP/s of the device, for the last column.")


class Case(NamedTuple):
    """What a row of the table measures."""

    model: str
    dtype: str
    batch: int
    side: int
    width: float
    rounds: int


class Result(NamedTuple):
    """Seconds per step, FLOPs per image of a forward pass, and peak memory in bytes."""

    training: float
    inference: float
    flops: int
    memory: int
    loss: float


def build(case):
    """Return the model of a case."""
    import keras

    import keras_prelu

    name, _, activation = case.model.partition("/")
    shape = (case.side, case.side, 3)
    keras.config.set_dtype_policy(case.dtype)
    if name == "VGG19":
        return keras.applications.VGG19(weights=None, input_shape=shape)
    constructor = getattr(keras_prelu.applications, name)
    return constructor(width=case.width, activation=activation, input_shape=shape)


def jax_steps(model, optimizer, loss_of, x, y):
    """Return functions that train and infer, and wait for the result."""
    import jax

    x, y = jax.device_put((x, y))

    def loss(trainable, others, x, y):
        scores, others = model.stateless_call(trainable, others, x, training=True)
        return loss_of(y, scores), others

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        trainable, others, slots = state
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(
            trainable, others, x, y
        )
        trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        return (trainable, others, slots), value

    @jax.jit
    def forward(trainable, others, x):
        return model.stateless_call(trainable, others, x, training=False)[0]

    # Copies, because a training step gives its memory to the next.
    state = jax.tree.map(
        lambda variable: variable.value.copy(),
        (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        ),
    )

    def train():
        nonlocal state
        state, value = step(state, x, y)
        return float(value)

    return train, lambda: forward(*state[:2], x).block_until_ready()


def tensorflow_steps(model, optimizer, loss_of, x, y):
    """Return functions that train and infer, and wait for the result."""
    import tensorflow as tf

    x, y = tf.constant(x), tf.constant(y)
    # On CPUs the convolutions of XLA are slower.
    compiled = bool(tf.config.list_physical_devices("GPU"))

    @tf.function(jit_compile=compiled)
    def step():
        with tf.GradientTape() as tape:
            value = loss_of(y, model(x, training=True))
        gradients = tape.gradient(value, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        return value

    @tf.function(jit_compile=compiled)
    def forward():
        return model(x, training=False)

    return lambda: float(step()), lambda: forward().numpy()


def torch_steps(model, optimizer, loss_of, x, y):
    """Return functions that train and infer, and wait for the result."""
    import torch
    from keras import ops

    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)

    def train():
        model.zero_grad()
        value = loss_of(y, model(x, training=True))
        value.backward()
        with torch.no_grad():
            gradients = [v.value.grad for v in model.trainable_variables]
            optimizer.apply(gradients, model.trainable_variables)
        return float(value)

    def infer():
        with torch.no_grad():
            return ops.convert_to_numpy(model(x, training=False))

    return train, infer


STEPS = {"jax": jax_steps, "tensorflow": tensorflow_steps, "torch": torch_steps}


def measure(case):
    """Return the `Result` of a case."""
    import keras
    import numpy as np

    from keras_prelu.analysis import multiply_adds
    from keras_prelu.optimizers import SGD

    model = build(case)
    optimizer = SGD(1e-6, momentum=0.9, weight_decay=0.0005)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (case.batch, case.side, case.side, 3)).astype("float32")
    y = rng.integers(0, 1000, case.batch)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    steps = STEPS[keras.backend.backend()]
    train, infer = steps(model, optimizer, loss_of, x, y)
    losses = []
    training = median_seconds(lambda: losses.append(train()), case.rounds)
    inference = median_seconds(infer, case.rounds)
    return Result(
        training, inference, 2 * multiply_adds(model), peak_memory(), losses[-1]
    )


def median_seconds(call, rounds, warmup=3):
    """Return the median time of a call."""
    seconds = []
    for _ in range(warmup + rounds):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[warmup:])


def peak_memory():
    """Return the peak memory of the device, or of the process on a CPU, in bytes."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        statistics_of_device = jax.devices()[0].memory_stats()
        if statistics_of_device:
            return statistics_of_device["peak_bytes_in_use"]
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
    elif backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cells(case, result):
    """Return the row of a case."""
    tera = result.flops * case.batch / 1e12
    rates = tera * 3 / result.training, tera / result.inference
    fractions = [f"{rate / PEAK.value:.1%}" if PEAK.value else "" for rate in rates]
    return (
        case.model,
        case.dtype,
        case.batch,
        f"{case.batch / result.training:.4g}",
        f"{rates[0]:.3g}",
        fractions[0],
        f"{case.batch / result.inference:.4g}",
        f"{rates[1]:.3g}",
        fractions[1],
        f"{result.memory / 2**30:.2f}",
        f"{result.loss:.3f}",
    )


def in_own_process(function, *arguments):
    """Return what a function returns in a new process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def rows():
    """Yield the rows, each as soon as it is measured."""
    for dtype in DTYPES.value:
        for model in MODELS.value:
            for batch in map(int, BATCHES.value):
                case = Case(model, dtype, batch, SIDE.value, WIDTH.value, ROUNDS.value)
                try:
                    yield cells(case, in_own_process(measure, case))
                except Exception as error:  # such as a lack of memory
                    reason = f"{type(error).__name__}: {error}".splitlines()[0][:60]
                    yield (model, dtype, batch, reason, *[""] * 7)


def pipeline(side, photographs=64, batch=32, batches=40):
    """Return a line about the speed of training batches, read from JPEG files."""
    from keras_prelu import data
    from keras_prelu.platforms import usable_cores

    with tempfile.TemporaryDirectory() as name:
        write_photographs(pathlib.Path(name), photographs)
        source = data.from_directory(name)
        scale = (side * 8 // 7, side * 16 // 7)
        stream = iter(data.train_batches(source, batch, side, scale))
        for _ in range(4):  # the first ones wait for the start
            next(stream)
        start = time.perf_counter()
        for _ in range(batches):
            next(stream)
        rate = batch * batches / (time.perf_counter() - start)
    return f"The pipeline: {rate:.4g} images/s on {usable_cores()} cores"


def main(_):
    """Print the table."""
    print(f"{in_own_process(machine)}; {SIDE.value}x{SIDE.value}", flush=True)
    header = (
        "model",
        "dtype",
        "batch",
        "training, images/s",
        "TFLOP/s",
        "of peak",
        "inference, images/s",
        "TFLOP/s",
        "of peak",
        "peak memory, GiB",
        "last loss",
    )
    print_table(header, rows())
    print(in_own_process(pipeline, SIDE.value))


if __name__ == "__main__":
    app.run(main)
