"""Model A with each rectifier beside keras VGG19: images/s in training and inference.

    python benchmarks/step.py [--batch=32] [--rounds=3]

In float32 and bfloat16, at 224x224 and full width. A pass over all takes some minutes.
"""

from _measure import interleaved, machine, print_table
from absl import app, flags

BATCH = flags.DEFINE_integer("batch", 32, "Images in a batch.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each net is timed.")
DTYPES = flags.DEFINE_list("dtypes", "float32,mixed_bfloat16", "Policies to time.")


def _with_stock_prelu(model):
    """Returns the model with `keras.layers.PReLU` in place of ours."""
    import keras

    import keras_prelu

    def replaced(layer):
        if not isinstance(layer, keras_prelu.layers.PReLU):
            return layer.__class__.from_config(layer.get_config())
        axes = list(range(1, len(layer.output.shape) - 1))
        return keras.layers.PReLU(alpha_initializer="zeros", shared_axes=axes or None)

    return keras.models.clone_model(model, clone_function=replaced)


def _nets():
    import keras

    import keras_prelu

    model_a = keras_prelu.applications.ModelA
    nets = {
        "model A, ReLU": model_a(activation="relu"),
        "model A, PReLU": model_a(),
        "model A, PReLU shared": model_a(activation="prelu_shared"),
        "model A, keras PReLU": _with_stock_prelu(model_a()),
        "keras VGG19": keras.applications.VGG19(weights=None),
    }
    for model in nets.values():
        optimizer = keras.optimizers.SGD(1e-6)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    return nets


def main(_):
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (BATCH.value, 224, 224, 3)).astype("float32")
    y = rng.integers(0, 1000, BATCH.value)
    rows = []
    for policy in DTYPES.value:
        keras.config.set_dtype_policy(policy)
        nets = _nets()
        functions = {}
        for name, model in nets.items():
            functions[name, 0] = lambda model=model: model.train_on_batch(x, y)
            functions[name, 1] = lambda model=model: model.predict_on_batch(x)
        seconds = interleaved(functions, ROUNDS.value)
        train, infer = seconds["model A, ReLU", 0], seconds["model A, ReLU", 1]
        for name in nets:
            rows.append(
                (
                    policy,
                    name,
                    f"{BATCH.value / seconds[name, 0]:.2f}",
                    f"{seconds[name, 0] / train:.3f}",
                    f"{BATCH.value / seconds[name, 1]:.1f}",
                    f"{seconds[name, 1] / infer:.3f}",
                )
            )
        del nets, functions
    print(f"{machine()}; batch {BATCH.value}")
    print_table(
        (
            "dtype",
            "net",
            "training, images/s",
            "time of ReLU's",
            "inference, images/s",
            "time of ReLU's",
        ),
        rows,
    )


if __name__ == "__main__":
    app.run(main)
