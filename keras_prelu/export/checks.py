"""Which models can be exported."""

import keras

from keras_prelu import model_surgery
from keras_prelu.layers import SpatialPyramidPooling


def check_model(model):
    """Returns a classifier with softmax scores; refuses what cannot be exported."""
    model = model_surgery.softmax_scores(model)
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Models are exported with the TensorFlow backend of Keras; save the model, "
            f"and load it there. Received: backend={keras.backend.backend()!r}"
        )
    shape = tuple(model.inputs[0].shape)
    height, width = model_surgery.input_size(model)
    if model_surgery.is_channels_first(model) or height != width or shape[-1] != 3:
        raise ValueError(
            "Argument `model` must take square RGB images with the channels last; "
            "the nets have the same weights for both data formats. "
            f"Received: a model whose input has the shape {shape}"
        )
    return model


def check_class_names(class_names, classes):
    """Refuses names that do not name the classes."""
    if class_names is not None and (
        isinstance(class_names, str)
        or len(class_names) != classes
        or any(not isinstance(n, str) or n.splitlines() != [n] for n in class_names)
    ):
        raise ValueError(
            f"Argument `class_names` must hold {classes} names, strings of one line. "
            f"Received: class_names={class_names!r}"
        )


def takes_any_size(model):
    """Returns whether a model's layers take images of any size."""
    return any(isinstance(layer, SpatialPyramidPooling) for layer in model.layers)


def for_its_sizes(model):
    """Returns the model for images of any size if it can be, else the model itself."""
    return model_surgery.any_size(model) if takes_any_size(model) else model
