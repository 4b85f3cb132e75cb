"""Constructors in the manner of `keras.applications`, one for each net."""

import inspect

from keras_prelu.applications import nets
from keras_prelu.applications import weights as weights_files

_DOCSTRING = """Instantiates {title}.

    {about}

    The model takes RGB images in [0, 255], integers or floats, of any size from
    {smallest}x{smallest} on: spatial pyramid pooling makes the top independent of the
    size, and the model itself subtracts the mean and scales images to unit variance.

    Args:
        include_top: Whether to include spatial pyramid pooling and the three fully
            connected layers.
        weights: `None` (random initialization); the path of a `.weights.h5` or
            `.keras` file; a URL that ends in `#sha256=` and the hash of the file; or
            the name of registered weights, which bring their own `activation`,
            `width`, `classes` and `input_shape`.
        input_tensor: Optional Keras tensor to use as the images.
        input_shape: Optional shape of an image. Height and width may be `None`, with
            the top too. By default (224, 224, 3) with the top, (None, None, 3) without.
            For other numbers of channels than 3 the mean starts at 0: call `adapt()`
            of the layer `"mean"`, or leave it out by `include_preprocessing=False`.
        pooling: What follows the last convolution when `include_top=False`: `None`,
            `"avg"` or `"max"` for global pooling.
        classes: Number of classes. If the file of weights has another number, the
            last layer is new and all others are the file's.
        classifier_activation: Activation of the last layer; `None` for logits.
        activation: `"prelu"`, `"prelu_shared"` (one slope for each layer), `"relu"` or
            `"leaky_relu"` (slope 0.01).
        width: Scales the numbers of filters and of fully connected units.
        dropout: Fraction of the fully connected units dropped in training.
        include_preprocessing: Whether the model takes images in [0, 255], subtracts the
            mean and divides by 58. Without it, give images of about zero mean and unit
            variance.
        name: Name of the model.

    Returns:
        A `keras.Model`.

    Examples:
        >>> model = keras_prelu.applications.{constructor}(width=1 / 64, classes=10)
        >>> scores = model.predict(np.zeros((2, 224, 224, 3), "uint8"), verbose=0)
        >>> scores.shape
        (2, 10)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), {reference}
    """


def constructor(constructor_name, module, net, title, about, reference):
    """Returns the constructor of a net.

    Args:
        constructor_name: Its name, such as `"ModelA"`.
        module: Name of the module it belongs to.
        net: Key of the net in `nets.NETS`, and the default name of its models.
        title: What it instantiates, for the docstring.
        about: A sentence on the net, for the docstring.
        reference: Where the paper describes it, for the docstring.

    Returns:
        A function.
    """

    def build(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=1000,
        classifier_activation="softmax",
        activation="prelu",
        width=1.0,
        dropout=0.5,
        include_preprocessing=True,
        name=net,
    ):
        architecture = nets.Architecture(
            net=nets.NETS[net],
            activation=activation,
            width=width,
            include_preprocessing=include_preprocessing,
            include_top=include_top,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            dropout=dropout,
        )
        return nets.build(name, architecture, weights, input_tensor, input_shape)

    signature = inspect.signature(build)

    def construct(*args, **kwargs):
        # Only arguments that were given can contradict those of registered weights.
        given = signature.bind(*args, **kwargs).arguments
        return build(**weights_files.with_registered_arguments(net, given))

    construct.__name__ = construct.__qualname__ = constructor_name
    construct.__module__ = module
    construct.__signature__ = signature
    construct.__doc__ = _DOCSTRING.format(
        constructor=constructor_name,
        title=title,
        about=about,
        reference=reference,
        smallest=nets.NETS[net].smallest_size,
    )
    return construct
