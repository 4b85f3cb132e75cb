"""A copy of a trained network with a new head."""

import keras

from keras_prelu import model_surgery
from keras_prelu.number_checks import check_integer

__all__ = ["check_model", "with_new_head"]


def with_new_head(
    model: keras.Model, classes: int, seed: int | None = None
) -> tuple[keras.Model, list[str]]:
    """Copy a classifier, with a new last layer for other classes.

    The new layer replaces the `Dense` layer at the end of the model, with or without an
    activation after it. A model that ends otherwise gets one more layer, after global
    average pooling if its output is a feature map. If it has a top of another kind,
    as MobileNet does, build it without the top, so that the new layer takes features
    and not scores. The new layer is initialized like the classifiers of the paper's
    networks: Gaussian with standard deviation 0.01, bias 0.

    Args:
        model: A functional or sequential `keras.Model` with one output. It is not
            changed, and shares no weights with the copy.
        classes: Integer, at least 2. Units of the new layer.
        seed: Integer of at least 0, or None. Seed of the new kernel.

    Returns:
        A functional `keras.Model` with softmax scores in float32, and the names of the
        layers in its head.

    Examples:
        >>> model = keras_prelu.applications.ModelA(
        ...     width=1 / 64, classes=10, input_shape=(32, 32, 3))
        >>> copy, head = keras_prelu.finetuning.with_new_head(model, classes=3)
        >>> copy.output_shape, head
        ((None, 3), ['fc3', 'predictions'])
    """
    check_model(model)
    check_integer("classes", classes, 2)
    check_integer("seed", seed, 0, or_none=True)
    seed = None if seed is None else int(seed)  # Keras takes no integers of NumPy
    features, *names = _features(model)
    # The copy takes its inputs in the form in which the model takes them, or Keras
    # would warn. A sequential model has no `input` before its first call.
    is_sequential = isinstance(model, keras.Sequential)
    body = keras.Model(model.inputs[0] if is_sequential else model.input, features)
    copy = keras.models.clone_model(body)
    copy.set_weights(body.get_weights())
    pool_name, *head = (
        model_surgery.free_name(copy, name) for name in ("head_pool", *names)
    )
    dense_name, scores_name = head
    pooled = copy.output
    if len(pooled.shape) == 4:
        pooled = keras.layers.GlobalAveragePooling2D(name=pool_name)(pooled)
    kernel = keras.initializers.RandomNormal(stddev=0.01, seed=seed)
    logits = keras.layers.Dense(classes, kernel_initializer=kernel, name=dense_name)
    softmax = keras.layers.Activation("softmax", dtype="float32", name=scores_name)
    outputs = softmax(logits(pooled))
    return keras.Model(copy.input, outputs, name=model.name), head


def check_model(model: keras.Model) -> None:
    """Refuse a model whose graph of layers is not known, or with several outputs."""
    if not model_surgery.is_functional(model) or len(model.outputs) != 1:
        raise ValueError(
            "Argument `model` must be a functional or built sequential Keras model "
            f"with one output. Received: model={model}"
        )


def _features(model):
    """Return the input of the head, and the names of its two layers."""
    before, last = [None, *list(model.layers)][-2:]
    if isinstance(last, keras.layers.Dense):
        return last.input, last.name, f"{last.name}_softmax"
    activations = (keras.layers.Activation, keras.layers.Softmax)
    if isinstance(last, activations) and isinstance(before, keras.layers.Dense):
        return before.input, before.name, last.name
    if len(model.output_shape) not in (2, 4):
        raise ValueError(
            "Argument `model` must return a vector or a feature map for each image. "
            f"Received: model.output_shape={model.output_shape}"
        )
    return model.outputs[0], "head", "predictions"
