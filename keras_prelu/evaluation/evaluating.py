"""The paper's protocols: centre crop, ten views, dense; scales, flips and ensembles."""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_prelu import data, distribution
from keras_prelu.evaluation import parts
from keras_prelu.evaluation.results import Evaluation, errors, rank
from keras_prelu.evaluation.running import runner
from keras_prelu.evaluation.strips import DenseScores


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


class _Numbered:
    """A source with the pictures' numbers for labels: none is counted twice."""

    def __init__(self, source):
        self.source = source
        self.labels = np.full(len(source), -1)
        self.seen = np.zeros(len(source), bool)

    def __len__(self):
        return len(self.source)

    def read(self, index):
        """Returns the bytes and the number of a picture; notes its label."""
        content, self.labels[index] = self.source.read(index)
        return content, index

    def skip(self, index, reason):
        """Counts a picture that cannot be used."""
        self.source.skip(index, reason)


class _Scorer:
    """The scores of batches of pictures by one model, averaged over views and flips."""

    def __init__(self, model, protocol, flip, batch_size):
        self.side = _side(model)
        self.classes = model.output_shape[-1]
        self.strategy = getattr(model, "distribute_strategy", None)
        self._first = parts.is_channels_first(model)
        self._views = _VIEWS[protocol]
        self._flip = flip
        self._batch_size = batch_size
        self._crops = protocol == "center"
        if protocol == "dense":
            pixels = batch_size * self.side**2
            self._score = DenseScores(model, pixels, self.strategy)
        else:
            self._score = runner(parts.softmax_scores(model), self.strategy)

    def batches(self, source, scale, shard):
        """Returns the pictures of a source at a scale, and their numbers."""
        # Whole pictures are larger: as many pixels, not as many pictures, at a time.
        share = 1 if self._crops else (self.side / scale) ** 2
        return data.eval_batches(
            source,
            max(1, int(self._batch_size * share)),
            image_size=self.side if self._crops else None,
            scale=scale,
            shard=shard,
        )

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
    height, width = parts.input_size(model)
    shape = model.inputs[0].shape
    channels = shape[1 if parts.is_channels_first(model) else -1]
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
    classes = {parts.softmax_scores(model).output_shape[-1] for model in models}
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
    if len(source.class_names) > classes:
        raise ValueError(
            f"Argument `source` must have labels below {classes}, the number of the "
            f"models' classes. Received: a source of {len(source.class_names)} "
            f"classes, the last {source.class_names[-1]!r}"
        )


def _scores_at(scale, scorers, numbered, shard, progress):
    """Returns the scores of this worker's pictures at one scale, by number."""
    scores = np.zeros((len(numbered), scorers[0].classes), "float32")
    for scorer in scorers:
        for images, numbers in scorer.batches(numbered, scale, shard):
            numbers = numbers.numpy()
            scores[numbers] += scorer(images.numpy()) / len(scorers)
            numbered.seen[numbers] = True
            progress.add(len(numbers))
    if not np.isfinite(scores).all():
        raise ValueError("A model's scores are not finite; it cannot be evaluated.")
    return scores


def _from_all_workers(strategy, seen, values):
    """Returns the values of the pictures that some worker has seen, -1 for others."""
    values = np.where(seen.reshape(-1, *[1] * (values.ndim - 1)), values, -1)
    rows = distribution.gather(strategy, values.ravel())
    return rows.max(axis=0).reshape(values.shape).astype(values.dtype)


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

    Memory is bounded by `batch_size`: with `"dense"`, as many large images go through
    the convolutions at a time as have the pixels of a batch of the net's own size, and
    an image of more pixels goes through in strips, with the same result.

    Args:
        model_or_models: A classifier of square RGB images, or a list of them; for
            `"dense"`, nets of `keras_prelu.applications`.
        source: The pictures, a source of `keras_prelu.data`.
        protocol: `"center"`, the crop from the middle; `"ten_view"`, the four corners
            and the centre; `"dense"`, every window of the last map (`dense_model`).
        scales: Shorter sides to average over, at least the models' own size.
        flip: Whether to average over the mirrored pictures too. Ten views have five
            without it.
        batch_size: Pictures of the models' own size that are computed at a time.
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
    worker, workers = shard = distribution.worker(strategy)
    numbered = _Numbered(source)
    progress = keras.utils.Progbar(
        len(range(worker, len(source), workers)) * len(scales) * len(models),
        unit_name="picture",
        verbose=verbose if worker == 0 else 0,
    )
    total, best_at = 0.0, {}
    for scale in scales:
        scores = _scores_at(scale, scorers, numbered, shard, progress)
        best_at[scale] = rank(scores)
        total = total + scores / len(scales)

    def gathered(values):
        return _from_all_workers(strategy, numbered.seen, values)

    labels = gathered(numbered.labels)
    indices = np.flatnonzero(labels >= 0)
    if not len(indices):
        raise ValueError(f"No picture can be decoded. Received: source={source}")
    labels = labels[indices]
    best = rank(total)
    best_scores = gathered(np.take_along_axis(total, best, axis=1))[indices]
    best = gathered(best)[indices]
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
            for scale, best in best_at.items()
        },
        source=source,
        indices=indices,
        labels=labels,
        best=best,
        best_scores=best_scores,
    )
    if verbose and worker == 0:
        print(result, flush=True)
    return result
