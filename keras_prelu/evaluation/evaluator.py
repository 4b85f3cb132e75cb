"""`evaluate`: the errors of classifiers, by a test protocol of the paper."""

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_prelu import distribution, model_surgery
from keras_prelu.data.errors import original_errors
from keras_prelu.data.sources import Source, check_not_empty, check_source
from keras_prelu.evaluation import image_batches
from keras_prelu.evaluation.protocols import (
    PROTOCOLS,
    Scorer,
    flips_by_default,
    input_side,
)
from keras_prelu.evaluation.ranking import Ranking, errors
from keras_prelu.evaluation.results import Evaluation
from keras_prelu.number_checks import check_integer, is_integer

__all__ = ["check_models", "evaluate", "rank_images", "standardize_models"]

# The pixels of this many batches may wait for other images of their size.
_BATCHES_WAITING = 16


def standardize_models(
    model_or_models: keras.Model | Sequence[keras.Model],
) -> list[keras.Model]:
    """Return a list of models, checked to have the same number of classes."""
    several = isinstance(model_or_models, (list, tuple))
    models = list(model_or_models) if several else [model_or_models]
    if not models:
        raise ValueError(
            "Argument `model_or_models` must contain at least one model. "
            "Received: model_or_models=[]"
        )
    classes = {model_surgery.softmax_scores(model).output_shape[-1] for model in models}
    if len(classes) > 1:
        raise ValueError(
            "Argument `model_or_models` must be models with the same number of "
            "classes. "
            f"Received: models of {sorted(classes)} classes"
        )
    return models


def check_models(
    models: Sequence[keras.Model],
    protocol: str,
    scales: Sequence[int],
    batch_size: int,
    class_names: Sequence[str],
) -> None:
    """Raise an error unless models can be tested as the arguments of `evaluate` say.

    Args:
        models: At least one model, all with the same number of classes.
        protocol: See `evaluate`.
        scales: See `evaluate`.
        batch_size: See `evaluate`.
        class_names: Names of the classes of the images.
    """
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise ValueError(
            f"Argument `protocol` must be one of {', '.join(map(repr, PROTOCOLS))}. "
            f"Received: protocol={protocol!r}"
        )
    side = max(map(input_side, models))
    if (
        not isinstance(scales, (list, tuple))
        or not scales
        or not all(is_integer(scale, side) for scale in scales)
        or len(set(scales)) < len(scales)
    ):
        raise ValueError(
            "Argument `scales` must be a non-empty tuple of different integers of at "
            f"least {side}, the models' input size. Received: scales={scales!r}"
        )
    check_integer("batch_size", batch_size, 1)
    classes = models[0].output_shape[-1]
    if len(class_names) > classes:
        raise ValueError(
            f"Argument `source` must have labels below {classes}, the models' number "
            f"of classes. Received: a source of {len(class_names)} classes, "
            f"the last {class_names[-1]!r}"
        )
    if len(class_names) < classes:
        warnings.warn(
            f"The source has {len(class_names)} classes, the models have {classes}. "
            "A class is known by its number, so the labels are wrong from the first "
            "class on that the source lacks, such as a folder that is missing.",
            stacklevel=4,  # the caller of `evaluate`, which has a decorator
        )


def _scores(batch, scorers, scale):
    """Return the mean scores of all models, at one scale."""
    scores = np.mean([x(batch.views[x.view(scale)]) for x in scorers], axis=0)
    if not np.isfinite(scores).all():
        raise ValueError(
            "Argument `model_or_models` must be models with finite scores. Received: a "
            "model with NaN or infinite scores; check its weights and its inputs"
        )
    return scores


def rank_images(
    scorers: Sequence[Scorer],
    source: Source,
    indices: Sequence[int],
    scales: Sequence[int],
    batch_size: int,
    progress: Callable[[int], None] = lambda count: None,
) -> Ranking:
    """Return the best classes of some images of a source, averaged over models.

    Args:
        scorers: One `Scorer` per model.
        source: A source.
        indices: Positions of the images in the source.
        scales: Shorter sides to average over.
        batch_size: Number of images of the models' input size per batch.
        progress: Function that is called with the number of images of each batch.

    Returns:
        A `Ranking` of all images of the source. Images at other positions, and those
        that the source has skipped because they cannot be decoded, have no scores.
    """
    classes = scorers[0].classes
    ranking = Ranking.empty(len(source), classes, scales)
    batches = image_batches.batches(
        source,
        indices,
        list({scorer.view(scale): None for scorer in scorers for scale in scales}),
        batch_size,
        _BATCHES_WAITING * batch_size * max(scorer.side for scorer in scorers) ** 2,
    )
    with contextlib.closing(batches):
        for batch in batches:
            scores = {scale: _scores(batch, scorers, scale) for scale in scales}
            ranking.add(batch.indices, batch.labels, scores)
            progress(len(batch.indices))
    return ranking


def _from_all_workers(strategy, values):
    """Combine arrays in which each worker has -1 for the images of the others."""
    rows = distribution.gather(strategy, values.ravel())
    return rows.max(axis=0).reshape(values.shape).astype(values.dtype)


@original_errors()
def evaluate(
    model_or_models: keras.Model | Sequence[keras.Model],
    source: Source,
    protocol: str = "center",
    scales: Sequence[int] = (256,),
    flip: bool | None = None,
    batch_size: int = 16,
    verbose: int = 1,
) -> Evaluation:
    """Test a classifier, or the average of several, with a protocol of the paper.

    Images are resized in proportion, antialiased, so that the shorter side is the
    scale; smaller images are enlarged. Softmax scores are averaged with equal weights
    over views, mirror images, scales and models. A model that ends in logits gets a
    softmax. Images that cannot be decoded are skipped and counted.

    Every other image counts exactly once. Under a `tf.distribute` strategy, the
    replicas of a machine share each batch, and machines share the images.

    Each image is decoded once for all models and scales, and only its five best classes
    are kept. So memory depends on `batch_size` and on the largest image, not on the
    number of images or classes. With `"dense"`, large images go through the
    convolutions in strips, with the same result. Images of more than 2**26 pixels after
    resizing are skipped and counted.

    Args:
        model_or_models: A classifier of square RGB images, or a list of classifiers.
            For `"dense"`: nets of `keras_prelu.applications`.
        source: The images, a source of `keras_prelu.data`.
        protocol: `"center"`, the default: the center crop. `"ten_view"`: the crops from
            the four corners and the center, and their mirror images. `"dense"`: every
            window of the last feature map; see `keras_prelu.evaluation.dense_model`.
        scales: Shorter sides to average over. None may be smaller than the models'
            input size.
        flip: Whether to average over mirror images too. Defaults to `False` for
            `"center"` and to `True` for the other protocols, as in the paper.
        batch_size: Number of images of the models' input size per batch.
        verbose: 0 for no output, 1 for a progress bar and the result.

    Returns:
        A `keras_prelu.evaluation.Evaluation`, with the errors `top1` and `top5`.

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
        >>> evaluation = keras_prelu.evaluation.evaluate(
        ...     model, Grey(["dark", "light"]), "dense", scales=(32, 36), verbose=0
        ... )
        >>> evaluation.examples, evaluation.top1
        (2, 0.5)

    Reference:
        [He et al., 2015](https://arxiv.org/abs/1502.01852), section 4
    """
    start = time.perf_counter()
    models = standardize_models(model_or_models)
    check_source(source)
    check_models(models, protocol, scales, batch_size, source.class_names)
    scales, batch_size = tuple(map(int, scales)), int(batch_size)
    check_not_empty(source)
    flip = flips_by_default(protocol) if flip is None else flip
    scorers = [Scorer(model, protocol, flip, batch_size) for model in models]
    strategy = scorers[0].strategy
    worker, workers = distribution.worker(strategy)
    shard = range(worker, len(source), workers)
    progress = keras.utils.Progbar(
        len(shard), unit_name="image", verbose=verbose if worker == 0 else 0
    )
    ranking = rank_images(scorers, source, shard, scales, batch_size, progress.add)
    ranking = ranking.apply(lambda values: _from_all_workers(strategy, values))
    indices = np.flatnonzero(ranking.labels >= 0)
    if not len(indices):
        raise ValueError(
            "Argument `source` must have at least one image that can be decoded. "
            f"Received: source={source}"
        )
    ranking = ranking.apply(lambda values: values[indices])
    top1, top5 = errors(ranking.best, ranking.labels)
    evaluation = Evaluation(
        protocol=protocol,
        scales=scales,
        flip=flip,
        models=len(models),
        classes=scorers[0].classes,
        top1=top1,
        top5=top5,
        examples=len(indices),
        skipped=len(source) - len(indices),
        seconds=time.perf_counter() - start,
        by_scale={
            scale: errors(best, ranking.labels)
            for scale, best in ranking.by_scale.items()
        },
        source=source,
        indices=indices,
        labels=ranking.labels,
        best=ranking.best,
        best_scores=ranking.best_scores,
    )
    if verbose and worker == 0:
        print(evaluation, flush=True)
    return evaluation
