"""Speed of Model A with each rectifier and of Keras's VGG19, in images/s.

    python benchmarks/step.py [--batch=32] [--rounds=3] [--dtypes=float32]

Times training and inference in float32 and bfloat16, at 224x224 and full width. It
takes several minutes.
"""

from _measure import interleaved, machine, print_table
from absl import app, flags

BATCH = flags.DEFINE_integer("batch", 32, "Batch size.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Number of timed steps of each model.")
DTYPES = flags.DEFINE_list("dtypes", "float32,mixed_bfloat16", "Dtype policies.")
HEADER = (
    "dtype",
    "model",
    "training, images/s",
    "training time / time with ReLU",
    "inference, images/s",
    "inference time / time with ReLU",
)


def _with_stock_prelu(model):
    """Return the model with `keras.layers.PReLU` in place of this package's."""
    import keras

    import keras_prelu

    def replaced(layer):
        if not isinstance(layer, keras_prelu.layers.PReLU):
            return layer.__class__.from_config(layer.get_config())
        axes = list(range(1, len(layer.output.shape) - 1))
        return keras.layers.PReLU(alpha_initializer="zeros", shared_axes=axes or None)

    return keras.models.clone_model(model, clone_function=replaced)


def _models():
    import keras

    import keras_prelu

    model_a = keras_prelu.applications.ModelA
    models = {
        "model A, ReLU": model_a(activation="relu"),
        "model A, PReLU": model_a(),
        "model A, PReLU shared": model_a(activation="prelu_shared"),
        "model A, keras PReLU": _with_stock_prelu(model_a()),
        "keras VGG19": keras.applications.VGG19(weights=None),
    }
    for model in models.values():
        optimizer = keras.optimizers.SGD(1e-6)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    return models


def main(_):
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (BATCH.value, 224, 224, 3)).astype("float32")
    y = rng.integers(0, 1000, BATCH.value)
    print(f"{machine()}; batch {BATCH.value}", flush=True)
    for policy in DTYPES.value:
        rows = []
        keras.config.set_dtype_policy(policy)
        models = _models()
        functions = {}
        for name, model in models.items():
            functions[name, 0] = lambda model=model: model.train_on_batch(x, y)
            functions[name, 1] = lambda model=model: model.predict_on_batch(x)
        # XLA compiles PReLU at the second or third call.
        seconds = interleaved(functions, ROUNDS.value, warmup=3)
        train, infer = seconds["model A, ReLU", 0], seconds["model A, ReLU", 1]
        for name in models:
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
        print_table(HEADER, rows)
        del models, functions


if __name__ == "__main__":
    app.run(main)
