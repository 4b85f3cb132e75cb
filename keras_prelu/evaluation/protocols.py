"""The paper's protocols: centre crop, ten views, dense; scales, flips and ensembles."""

import contextlib
import time

import keras
import numpy as np
import tensorflow as tf

from keras_prelu import distribution, model_surgery
from keras_prelu.data.errors import original_errors
from keras_prelu.evaluation import image_batches
from keras_prelu.evaluation.batch_predictor import runner
from keras_prelu.evaluation.dense_scores import DenseScores
from keras_prelu.evaluation.results import TOP, Evaluation, errors, rank

# How many batches' pixels may wait for other images of their size.
_BATCHES_WAITING = 16


def _whole(images, side):
    return [images]


def _corners_and_center(images, side):
    bottom, right = images.shape[1] - side, images.shape[2] - side
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return [
        images[:, top : top + side, left : left + side]
        for top, left in [*places, (bottom // 2, right // 2)]
    ]


# From a batch to its views, before flips. For "center" the pipeline cuts the crop.
_VIEWS = {"center": _whole, "ten_view": _corners_and_center, "dense": _whole}


class _Scorer:
    """The scores of images by one model, averaged over views and flips."""

    def __init__(self, model, protocol, flip, batch_size):
        self.side = _side(model)
        self.strategy = getattr(model, "distribute_strategy", None)
        self._first = model_surgery.is_channels_first(model)
        self._views = _VIEWS[protocol]
        self._flip = flip
        self._crop = self.side if protocol == "center" else None
        if protocol == "dense":
            pixels = batch_size * self.side**2
            self._score = DenseScores(model, pixels, self.strategy)
        else:
            self._score = runner(model_surgery.softmax_scores(model), self.strategy)

    def view(self, scale):
        """Returns what is wanted of an image at a scale; see `image_batches`."""
        return self._crop, scale

    def __call__(self, images):
        """Returns scores of shape `(batch, classes)`."""
        views = self._views(images, self.side)
        if self._flip:
            views += [view[:, :, ::-1] for view in views]
        return sum(self._score(self._in_layout(view)) for view in views) / len(views)

    def _in_layout(self, images):
        return images.transpose(0, 3, 1, 2) if self._first else images


def _side(model):
    """Returns the side of a model's own images, which must be square and RGB."""
    height, width = model_surgery.input_size(model)
    shape = model.inputs[0].shape
    channels = shape[1 if model_surgery.is_channels_first(model) else -1]
    if height != width or channels != 3:
        raise ValueError(
            "Argument `model_or_models` must take square RGB images. "
            f"Received: a model whose input has the shape {tuple(shape)}"
        )
    return height


def _standardize_models(model_or_models):
    """Returns a list of models, checked to agree on their classes."""
    several = isinstance(model_or_models, (list, tuple))
    models = list(model_or_models) if several else [model_or_models]
    if not models:
        raise ValueError(
            "Argument `model_or_models` must hold one model at least. "
            "Received: model_or_models=[]"
        )
    classes = {model_surgery.softmax_scores(model).output_shape[-1] for model in models}
    if len(classes) > 1:
        raise ValueError(
            "Argument `model_or_models` must hold models of the same classes. "
            f"Received: models of {sorted(classes)} classes"
        )
    return models


def _check(models, source, protocol, scales, batch_size):
    if protocol not in _VIEWS:
        raise ValueError(
            f"Argument `protocol` must be one of {', '.join(map(repr, _VIEWS))}. "
            f"Received: protocol={protocol!r}"
        )
    side = max(map(_side, models))
    if (
        not isinstance(scales, (list, tuple))
        or not scales
        or any(not isinstance(scale, int) or scale < side for scale in scales)
        or len(set(scales)) < len(scales)
    ):
        raise ValueError(
            "Argument `scales` must be a non-empty tuple of different shorter sides, "
            f"integers of at least {side}, the models' own. "
            f"Received: scales={scales!r}"
        )
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "Argument `batch_size` must be an integer of at least 1. "
            f"Received: batch_size={batch_size!r}"
        )
    classes = models[0].output_shape[-1]
    if not len(source):
        raise ValueError(
            f"Argument `source` must hold images. Received: source={source}"
        )
    if len(source.class_names) > classes:
        raise ValueError(
            f"Argument `source` must have labels below {classes}, the number of the "
            f"models' classes. Received: a source of {len(source.class_names)} "
            f"classes, the last {source.class_names[-1]!r}"
        )


class _Ranks:
    """The best classes of each image: all that is kept of its scores.

    Attributes:
        labels: Array of each image's class, -1 for images that were not seen.
        best: Array of each image's best classes over all scales, -1 likewise.
        best_scores: Array of their scores.
        by_scale: Dict from each scale to the best classes with it alone.
    """

    def __init__(self, images, classes, scales):
        shape = (images, min(TOP, classes))
        self.labels = np.full(images, -1)
        self.best = np.full(shape, -1, "int32")
        self.best_scores = np.full(shape, -1, "float32")
        self.by_scale = {scale: np.full(shape, -1, "int32") for scale in scales}

    def add(self, batch, scorers):
        """Scores a batch with all models at all scales."""
        total = 0.0
        for scale, best in self.by_scale.items():
            scores = sum(
                scorer(batch.views[scorer.view(scale)]) / len(scorers)
                for scorer in scorers
            )
            if not np.isfinite(scores).all():
                raise ValueError(
                    "A model's scores are not finite; it cannot be evaluated."
                )
            best[batch.indices] = rank(scores)
            total = total + scores / len(self.by_scale)
        best = rank(total)
        self.labels[batch.indices] = batch.labels
        self.best[batch.indices] = best
        self.best_scores[batch.indices] = np.take_along_axis(total, best, axis=1)


def _from_all_workers(strategy, values):
    """Returns the values of the images that some worker has seen, -1 for others."""
    rows = distribution.gather(strategy, values.ravel())
    return rows.max(axis=0).reshape(values.shape).astype(values.dtype)


@original_errors()
def evaluate(
    model_or_models,
    source,
    protocol="center",
    scales=(256,),
    flip=True,
    batch_size=16,
    verbose=1,
):
    """Tests a classifier, or the mean of several, as the paper does.

    Pictures are resized so that the shorter side is a scale, in proportion and
    antialiased; smaller ones are enlarged. Softmax scores are averaged over views,
    flips, scales and models with equal weight; a model that ends in logits gets a
    softmax. Each picture counts once: under a strategy the replicas of a machine share
    its batches, and several machines share the pictures. A picture that cannot be
    decoded is skipped and counted.

    Each image is decoded once, for all models and scales; of its scores the five best
    are kept. Memory is bounded by `batch_size` and by the largest image, not by how
    many images or classes there are. With `"dense"`, as many large images go through
    the convolutions at a time as have the pixels of a batch of the net's own size, and
    an image of more pixels goes through in strips, with the same result. An image that
    would have more than 2**26 pixels after resizing is skipped and counted.

    Args:
        model_or_models: A classifier of square RGB images, or a list of them; for
            `"dense"`, nets of `keras_prelu.applications`.
        source: The pictures, a source of `keras_prelu.data`.
        protocol: `"center"`, the crop from the middle; `"ten_view"`, the four corners
            and the centre; `"dense"`, every window of the last map (`dense_model`).
        scales: Shorter sides to average over, at least the models' own size.
        flip: Whether to average over the mirrored pictures too. Ten views have five
            without it.
        batch_size: Images of the models' own size that are computed at a time.
        verbose: 0 for silence, 1 for a progress bar and the result.

    Returns:
        An `Evaluation`: error rates `top1` and `top5`, `examples`, `seconds` and more.

    Examples:
        >>> import io
        >>> from PIL import Image
        >>> class Grey(keras_prelu.data.Source):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         stream = io.BytesIO()
        ...         Image.new("RGB", (40, 36), (99, 99, 99)).save(stream, "PNG")
        ...         return stream.getvalue(), index
        >>> model = keras_prelu.applications.Model14(
        ...     width=1 / 64, classes=2, input_shape=(32, 32, 3)
        ... )
        >>> found = keras_prelu.evaluation.evaluate(
        ...     model, Grey(["dark", "light"]), "dense", scales=(32, 36), verbose=0
        ... )
        >>> found.examples, found.top1, found.top5
        (2, 0.5, 0.0)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """
    start = time.perf_counter()
    models = _standardize_models(model_or_models)
    _check(models, source, protocol, scales, batch_size)
    scorers = [_Scorer(model, protocol, flip, batch_size) for model in models]
    strategy = scorers[0].strategy or tf.distribute.get_strategy()
    worker, workers = distribution.worker(strategy)
    indices = range(worker, len(source), workers)
    progress = keras.utils.Progbar(
        len(indices), unit_name="image", verbose=verbose if worker == 0 else 0
    )
    ranks = _Ranks(len(source), models[0].output_shape[-1], scales)
    batches = image_batches.batches(
        source,
        indices,
        list({scorer.view(scale): None for scorer in scorers for scale in scales}),
        batch_size,
        _BATCHES_WAITING * batch_size * max(scorer.side for scorer in scorers) ** 2,
    )
    with contextlib.closing(batches):
        for batch in batches:
            ranks.add(batch, scorers)
            progress.add(len(batch.indices))

    def gathered(values):
        return _from_all_workers(strategy, values)

    labels = gathered(ranks.labels)
    indices = np.flatnonzero(labels >= 0)
    if not len(indices):
        raise ValueError(f"No image can be decoded. Received: source={source}")
    labels = labels[indices]
    best = gathered(ranks.best)[indices]
    top1, top5 = errors(best, labels)
    result = Evaluation(
        protocol=protocol,
        scales=tuple(scales),
        flip=flip,
        models=len(models),
        top1=top1,
        top5=top5,
        examples=len(indices),
        skipped=len(source) - len(indices),
        seconds=time.perf_counter() - start,
        by_scale={
            scale: errors(gathered(best)[indices], labels)
            for scale, best in ranks.by_scale.items()
        },
        source=source,
        indices=indices,
        labels=labels,
        best=best,
        best_scores=gathered(ranks.best_scores)[indices],
    )
    if verbose and worker == 0:
        print(result, flush=True)
    return result
