"""The test protocols, compared with Pillow and NumPy; every image counts once."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from keras_prelu import data, distribution, evaluation
from keras_prelu.applications import ModelA
from keras_prelu.evaluation import ranking
from keras_prelu.evaluation.batch_predictor import runner
from tests.data.conftest import broken_jpeg, encoded, wavy_image

SIDE = 48


def small_net(seed=0, side=SIDE, classes=3, activation="softmax"):
    """Build a net whose scores depend on the positions of pixels."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((side, side, 3))
    x = keras.layers.Rescaling(1 / 255, offset=-0.5)(images)
    x = keras.layers.Conv2D(4, 5, strides=4)(x)
    x = keras.layers.Dense(classes, activation=activation)(keras.layers.Flatten()(x))
    return keras.Model(images, x)


def by_hand(model, path, scale, views, flip):
    """Average the scores of an image's views, resized by Pillow one by one."""
    image = Image.open(path)
    size = [int(side * scale / min(image.size) + 0.5) for side in image.size]
    pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR), "float32")
    bottom, right = pixels.shape[0] - SIDE, pixels.shape[1] - SIDE
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    center = [(bottom // 2, right // 2)]
    positions = center if views == "center" else corners + center
    crops = [pixels[top : top + SIDE, left : left + SIDE] for top, left in positions]
    if flip:
        crops += [crop[:, ::-1] for crop in crops]
    return ops.convert_to_numpy(model(np.stack(crops))).mean(axis=0)


def top_scores(scores, best):
    return np.take_along_axis(np.array(scores), best, axis=1)


@pytest.mark.parametrize("protocol", ["center", "ten_view"])
@pytest.mark.parametrize("flip", [True, False])
def test_views_scales_and_models_are_averaged(folder, protocol, flip):
    source = data.from_directory(folder)
    models = [small_net(0), small_net(1)]
    scales = (48, 60)
    result = evaluation.evaluate(
        models, source, protocol, scales=scales, flip=flip, batch_size=4, verbose=0
    )
    of_scale = {
        scale: np.mean(
            [
                [by_hand(model, path, scale, protocol, flip) for path in source.paths]
                for model in models
            ],
            axis=0,
        )
        for scale in scales
    }
    expected = np.mean(list(of_scale.values()), axis=0)
    # Pixels may differ by one level of 255, because of rounding.
    tolerance = 2e-3
    other = np.mean([by_hand(models[0], p, 48, protocol, flip) for p in source.paths])
    assert np.abs(other - expected).max() > 10 * tolerance
    np.testing.assert_allclose(
        result.best_scores, top_scores(expected, result.best), atol=tolerance
    )
    assert (np.diff(result.best_scores) <= 0).all()
    assert result.indices.tolist() == list(range(23))
    assert result.labels.tolist() == source.labels.tolist()
    misses = result.best[:, 0] != source.labels
    assert result.top1 == pytest.approx(misses.mean())
    assert result.top5 == 0  # there are only three classes
    for scale in scales:
        one = evaluation.evaluate(
            models, source, protocol, (scale,), flip=flip, verbose=0
        )
        assert result.by_scale[scale] == (one.top1, one.top5)


@pytest.mark.parametrize("flip", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_dense_averages_the_dense_model(tmp_path, flip):
    (tmp_path / "ant").mkdir()
    sizes = [(40, 52), (90, 61), (52, 40), (80, 104), (30, 39)]
    for number, size in enumerate(sizes):
        content = encoded(wavy_image(*size, number), "PNG")
        (tmp_path / "ant" / f"{number}.png").write_bytes(content)
    source = data.from_directory(tmp_path)
    model = ModelA(input_shape=(48, 48, 3), classes=4, width=1 / 64)
    model.get_layer("fc3").kernel.assign(
        np.random.default_rng(0).normal(size=(64, 4)) * 0.1
    )
    result = evaluation.evaluate(
        model, source, "dense", (64,), flip=flip, batch_size=4, verbose=0
    )
    run = runner(evaluation.dense_model(model))
    for row, path in enumerate(source.paths):
        image = Image.open(path)
        size = [int(side * 64 / min(image.size) + 0.5) for side in image.size]
        x = np.asarray(image.resize(size, Image.Resampling.BILINEAR))[None]
        scores = run(x)
        mirrored = run(x[:, :, ::-1])
        assert np.abs(scores - mirrored).max() > 1e-4
        if flip:
            scores = (scores + mirrored) / 2
        np.testing.assert_allclose(
            result.best_scores[row], scores[0, result.best[row]], atol=2e-5
        )


def test_logits_become_scores_before_they_are_averaged(folder):
    source = data.from_directory(folder)
    scores = small_net(0)
    logits = small_net(0, activation=None)
    logits.set_weights(scores.get_weights())
    a, b = (
        evaluation.evaluate(model, source, "ten_view", (60,), verbose=0)
        for model in (scores, logits)
    )
    np.testing.assert_array_equal(a.best, b.best)
    np.testing.assert_allclose(a.best_scores, b.best_scores, atol=1e-6)


def test_sequential_models_can_end_in_logits(folder):
    functional = small_net(activation=None)
    sequential = keras.Sequential(functional.layers)
    source = data.from_directory(folder)
    a, b = (
        evaluation.evaluate(model, source, scales=(48,), verbose=0)
        for model in (functional, sequential)
    )
    np.testing.assert_allclose(a.best_scores, b.best_scores, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 64])
def test_the_batch_size_changes_nothing(folder, batch_size):
    source = data.from_directory(folder)
    for protocol in ("center", "ten_view"):
        result = evaluation.evaluate(
            small_net(),
            source,
            protocol,
            (60,),
            batch_size=batch_size,
            verbose=0,
        )
        reference = evaluation.evaluate(small_net(), source, protocol, (60,), verbose=0)
        assert result.examples == 23
        np.testing.assert_array_equal(result.best, reference.best)
        np.testing.assert_allclose(result.best_scores, reference.best_scores, atol=1e-6)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("batch_size", [1, 6])
def test_replicas_share_each_batch(folder, batch_size):
    source = data.from_directory(folder)
    reference = evaluation.evaluate(small_net(), source, "ten_view", (60,), verbose=0)
    with distribution.strategy("mirrored").scope():
        model = small_net()
    result = evaluation.evaluate(
        model, source, "ten_view", (60,), batch_size=batch_size, verbose=0
    )
    assert result.examples == 23
    np.testing.assert_array_equal(result.best, reference.best)
    np.testing.assert_allclose(result.best_scores, reference.best_scores, atol=1e-6)


@pytest.mark.tensorflow_only
def test_each_replica_gets_one_shard_of_a_batch():
    with distribution.strategy("mirrored").scope():
        model = small_net()
    shapes = []

    class ShapeRecorder(keras.layers.Layer):
        def call(self, x):
            shapes.append(x.shape[0])
            return x

    with model.distribute_strategy.scope():
        images = keras.Input((SIDE, SIDE, 3))
        model = keras.Model(images, model(ShapeRecorder()(images)))
    shapes.clear()
    x = np.random.default_rng(0).uniform(0, 255, (5, SIDE, SIDE, 3)).astype("float32")
    scores = runner(model, model.distribute_strategy)(x)
    assert shapes == [3, 2]
    np.testing.assert_allclose(scores, runner(model)(x), atol=1e-6)


@pytest.mark.tensorflow_only
def test_several_models_and_image_sizes_cause_no_warning_about_retracing(caplog):
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for _ in range(3):
            images = keras.Input((None, None, 3))
            model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
            run = runner(model)
            for size in (8, 9, 10):
                scores = run(np.full((2, size, 9, 3), size, "uint8"))
                np.testing.assert_allclose(scores, np.full((2, 3), size))
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


@pytest.mark.tensorflow_only
def test_workers_share_the_images(folder, monkeypatch):
    """The second of two workers receives the arrays that the first one sent."""
    source = data.from_directory(folder)
    arguments = (small_net(), source, "ten_view", (48, 60))
    reference = evaluation.evaluate(*arguments, verbose=0)
    sent = []

    def first(strategy, numbers):
        sent.append(numbers)
        return np.array([numbers])

    def second(strategy, numbers):
        return np.array([sent.pop(0), numbers])

    for worker, gather in enumerate((first, second)):
        monkeypatch.setattr(distribution, "worker", lambda strategy, w=worker: (w, 2))
        monkeypatch.setattr(distribution, "gather", gather)
        result = evaluation.evaluate(*arguments, verbose=0)
        if worker == 0:
            assert result.indices.tolist() == list(range(0, 23, 2))
    assert sent == [] and result.examples == 23
    assert result.labels.tolist() == source.labels.tolist()
    assert result.by_scale == reference.by_scale
    np.testing.assert_array_equal(result.best, reference.best)
    np.testing.assert_allclose(result.best_scores, reference.best_scores, atol=1e-6)


def test_bad_images_are_skipped_and_counted(folder):
    paths = sorted(folder.glob("*/*.jpg"))
    paths[3].write_bytes(b"torn")
    paths[4].write_bytes(broken_jpeg(paths[4].read_bytes()))
    source = data.from_directory(folder, max_bad=2)
    result = evaluation.evaluate(small_net(), source, "ten_view", (48, 60), verbose=0)
    assert (result.examples, result.skipped) == (21, 2)
    assert result.indices.tolist() == [i for i in range(23) if i not in (3, 4)]
    assert len(source.skipped) == 2


def test_small_images_are_enlarged(tmp_path):
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "1.png").write_bytes(encoded(wavy_image(9, 5), "PNG"))
    source = data.from_directory(tmp_path)
    model = small_net()
    result = evaluation.evaluate(model, source, "ten_view", (50,), verbose=0)
    expected = by_hand(model, source.paths[0], 50, "ten_view", True)
    np.testing.assert_allclose(
        result.best_scores[0], expected[result.best[0]], atol=2e-3
    )


class Constant(keras.layers.Layer):
    """The same scores for every image."""

    def __init__(self, scores):
        super().__init__()
        self.scores = np.array(scores, "float32")

    def call(self, x):
        mean = ops.mean(x, axis=(1, 2, 3), keepdims=True)[:, 0, 0]
        return 0 * mean + self.scores


def test_errors_classes_and_confusions_are_counted(folder):
    """8 images of ant, 8 of bee and 7 of cat; bee is the best class of each."""
    images = keras.Input((SIDE, SIDE, 3))
    logits = Constant([0.0, 6, 1, 2, 3, 4, 5])(images)
    model = keras.Model(images, keras.layers.Softmax()(logits))
    source = data.from_directory(folder)
    result = evaluation.evaluate(model, source, scales=(48,), verbose=0)
    assert result.top1 == pytest.approx(15 / 23)
    assert result.top5 == pytest.approx(15 / 23)  # ant is seventh, cat is sixth
    assert result.best[0].tolist() == [1, 6, 5, 4, 3]
    ant, bee, cat = result.per_class()
    assert (ant, bee, cat) == (
        ("ant", 8, 1.0, 1.0),
        ("bee", 8, 0.0, 0.0),
        ("cat", 7, 1.0, 1.0),
    )
    assert result.confusion()[:3, 1].tolist() == [8, 8, 7]
    assert result.confusion().sum() == 23


@pytest.mark.parametrize(
    ("protocol", "expected"), [("center", False), ("ten_view", True)]
)
def test_mirror_images_are_averaged_by_default_as_in_the_paper(
    folder, protocol, expected
):
    """A single center crop is one view; ten views are five and their mirror images."""
    source, model = data.from_directory(folder), small_net()
    default, explicit = (
        evaluation.evaluate(model, source, protocol, (60,), verbose=0, **options)
        for options in ({}, {"flip": expected})
    )
    assert default.flip == expected
    np.testing.assert_array_equal(default.best_scores, explicit.best_scores)
    other = evaluation.evaluate(
        model, source, protocol, (60,), flip=not expected, verbose=0
    )
    assert np.abs(default.best_scores - other.best_scores).max() > 1e-4


def test_errors_have_no_rounding_noise():
    best = np.zeros((1000, 1), int)
    labels = np.array([1] * 21 + [0] * 979)
    assert ranking.errors(best, labels)[0] == 0.021


@pytest.mark.parametrize(("classes", "shown"), [(5, False), (6, True)])
def test_a_top5_error_is_shown_only_with_more_than_five_classes(folder, classes, shown):
    """With five classes, the right one is always among the five best."""
    images = keras.Input((SIDE, SIDE, 3))
    logits = Constant(np.arange(classes)[::-1])(images)
    model = keras.Model(images, keras.layers.Softmax()(logits))
    source = data.from_directory(folder)
    result = evaluation.evaluate(model, source, scales=(48,), verbose=0)
    assert result.top5 == 0
    summary = result.summary()
    assert summary["top5_error"] == (0 if shown else None)
    assert summary["by_scale"]["48"]["top5_error"] == summary["top5_error"]
    assert ("top-5" in str(result)) == shown
    assert evaluation.table([result]).endswith("/ 0.00 |" if shown else "/ n/a |")


def test_errors_equal_those_of_a_loop():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(200, 11)), rng.integers(0, 11, 200)
    top1, top5 = ranking.errors(ranking.rank(scores), labels)
    ranks = [
        (row > row[label]).sum() for row, label in zip(scores, labels, strict=True)
    ]
    assert top1 == pytest.approx(np.mean(np.array(ranks) >= 1))
    assert top5 == pytest.approx(np.mean(np.array(ranks) >= 5))


def test_the_result_prints_and_serializes(folder, capsys):
    source = data.from_directory(folder)
    result = evaluation.evaluate(small_net(), source, scales=(48,))
    printed = capsys.readouterr().out
    assert "23/23" in printed  # the progress bar
    assert f"top-1 error {result.top1:.2%} on 23 images: center, scale 48" in printed
    summary = json.loads(json.dumps(result.summary()))
    assert summary["top1_error"] == result.top1
    assert summary["by_scale"]["48"]["top1_error"] == result.top1
    evaluation.evaluate(small_net(), source, scales=(48,), verbose=0)
    assert capsys.readouterr().out == ""


def test_takes_integers_of_numpy(folder):
    source, model = data.from_directory(folder), small_net()
    sizes = {"scales": tuple(np.array((48, 60))), "batch_size": np.int64(4)}
    ours = evaluation.evaluate(model, source, **sizes, verbose=0)
    result = evaluation.evaluate(model, source, scales=(48, 60), verbose=0)
    np.testing.assert_allclose(ours.best_scores, result.best_scores, rtol=1e-5)
    assert json.loads(json.dumps(ours.summary()))["scales"] == [48, 60]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"protocol": "tenview"}, "'ten_view', 'dense'. Received: protocol='tenview'"),
        ({"protocol": ["center"]}, r"Received: protocol=\['center'\]"),
        ({"scales": ()}, r"Received: scales=\(\)"),
        ({"scales": 256}, "Received: scales=256"),
        ({"scales": (60, 60)}, r"Received: scales=\(60, 60\)"),
        ({"scales": (40,)}, r"at least 48, .* Received: scales=\(40,\)"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"model_or_models": []}, r"Received: model_or_models=\[\]"),
        (
            {"model_or_models": [small_net(), small_net(classes=4)]},
            r"number of classes. Received: models of \[3, 4\] classes",
        ),
        (
            {"model_or_models": small_net(classes=2)},
            "labels below 2, .* a source of 3 classes, the last 'cat'",
        ),
        ({"protocol": "dense"}, "SpatialPyramidPooling.*Received: a model that has 0"),
    ],
)
def test_wrong_arguments_are_refused_before_an_image_is_read(folder, options, message):
    source = data.from_directory(folder)
    source.read = None
    arguments = {"model_or_models": small_net(), "scales": (48,), "verbose": 0}
    with pytest.raises(ValueError, match=message):
        evaluation.evaluate(source=source, **{**arguments, **options})


@pytest.mark.parametrize("source", [None, 3, []])
def test_what_is_not_a_source_is_refused(source):
    with pytest.raises(TypeError, match="`source` must be.*Received: source="):
        evaluation.evaluate(small_net(), source, scales=(48,), verbose=0)


def _errors_at(*scales):
    by_scale = dict.fromkeys(scales, (0.25, 0.0))
    return evaluation.ErrorSummary(
        "dense", scales, True, 1, 9, 0.25, 0.0, 4, 0, 1.0, by_scale
    )


@pytest.mark.parametrize("evaluations", [[], (), None, 3, _errors_at(256)])
def test_a_table_needs_a_list_of_evaluations(evaluations):
    with pytest.raises(ValueError, match="at least one.*Received: evaluations="):
        evaluation.table(evaluations)


@pytest.mark.parametrize("scales", [(256,), (256, 480), (256, 384, 480)])
def test_a_table_needs_the_same_scales(scales):
    with pytest.raises(ValueError, match=r"same scales. .*at \[256, 384\], \[256"):
        evaluation.table([_errors_at(256, 384), _errors_at(*scales)])
    in_any_order = evaluation.table([_errors_at(256, 384), _errors_at(384, 256)])
    assert in_any_order.splitlines()[2] == "| 256 | 25.00 / 0.00 | 25.00 / 0.00 |"


def test_a_source_that_may_lack_a_class_is_warned_about(folder, recwarn):
    source = data.from_directory(folder)
    evaluation.evaluate(small_net(), source, scales=(48,), verbose=0)
    assert not [w for w in recwarn if "labels are wrong" in str(w.message)]
    with pytest.warns(UserWarning, match="has 3 classes, the models have 4"):
        evaluation.evaluate(small_net(classes=4), source, scales=(48,), verbose=0)


def test_scores_that_are_not_finite_are_refused(folder):
    model = small_net()
    model.layers[-1].bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="must be models with finite scores"):
        evaluation.evaluate(model, data.from_directory(folder), scales=(48,), verbose=0)
