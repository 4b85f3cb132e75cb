"""Dense models, compared with windows cut out of the map, and strips of images."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_prelu import evaluation, model_surgery
from keras_prelu.applications import Model14, ModelA
from keras_prelu.evaluation.dense_scores import DenseScores
from keras_prelu.layers import SpatialPyramidPooling, SubtractMean


def net(constructor=ModelA, side=48, channels_first=False, **options):
    """Build a narrow net with random weights and moderate scores."""
    shape = (3, side, side) if channels_first else (side, side, 3)
    model = constructor(input_shape=shape, classes=7, width=1 / 64, **options)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name in ("bias", "alpha"):
            weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    return moderate(model, channels_first)


def moderate(model, channels_first=False):
    """Draw the last layer so that scores are neither equal nor close to 0 and 1."""
    classifier = model.get_layer("fc3")
    features = keras.Model(model.input, classifier.input)
    height, width = model_surgery.input_size(model)
    vector = run(
        features, random_images(1, height, width, channels_first=channels_first)
    )
    kernel = np.random.default_rng(1).normal(size=classifier.kernel.shape)
    classifier.kernel.assign(3 * kernel / np.linalg.norm(vector))
    return model


def random_images(*size, channels_first=False):
    images = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype("float32")
    return images.transpose(0, 3, 1, 2) if channels_first else images


def run(model, x):
    if keras.backend.backend() == "tensorflow":  # faster than to compile for one batch
        return ops.convert_to_numpy(model(x, training=False))
    return model.predict_on_batch(x)


def scores_of_cut_windows(model, dense, images, window):
    """Score every window, cut out of the last map, with the net's own top."""
    spp = model.get_layer("spp")
    maps = run(keras.Model(dense.input, dense.layers[-1].input), images)
    if spp.data_format == "channels_first":
        maps = maps.transpose(0, 2, 3, 1)
    rows, columns = (
        n - side + 1 for n, side in zip(maps.shape[1:3], window, strict=True)
    )
    windows = np.stack(
        [
            maps[:, y : y + window[0], x : x + window[1]]
            for y in range(rows)
            for x in range(columns)
        ],
        axis=1,
    ).reshape(-1, *window, maps.shape[-1])
    if spp.data_format == "channels_first":
        windows = windows.transpose(0, 3, 1, 2)
    scores = run(
        keras.Model(spp.output, model.output), ops.convert_to_numpy(spp(windows))
    )
    if model.layers[-1].activation is keras.activations.linear:
        exponentials = np.exp(scores - scores.max(-1, keepdims=True))
        scores = exponentials / exponentials.sum(-1, keepdims=True)
    return scores.reshape(len(images), rows, columns, -1)


def assert_exact(model, images, window):
    dense = evaluation.dense_model(model, average=False)
    expected = scores_of_cut_windows(model, dense, images, window)
    scores = run(dense, images)
    # The scores of a neighboring window must not pass.
    assert np.abs(np.diff(expected, axis=2)).max() > 4e-4
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    mean = run(evaluation.dense_model(model), images)
    np.testing.assert_allclose(mean, expected.mean(axis=(1, 2)), atol=1e-4)


@pytest.mark.parametrize(
    "constructor, activation, side, window, size",
    [
        (ModelA, "prelu", 48, (3, 3), (75, 101)),
        (ModelA, "relu", 96, (6, 6), (111, 129)),
        (Model14, "prelu", 64, (5, 5), (101, 87)),
        (Model14, "prelu_shared", 48, (4, 4), (48, 89)),
    ],
)
def test_scores_equal_those_of_cut_windows(constructor, activation, side, window, size):
    model = net(constructor, side, activation=activation)
    assert_exact(model, random_images(2, *size), window)


def test_windows_of_the_paper_have_14_cells_per_side():
    assert_exact(net(side=224), random_images(1, 260, 241), (14, 14))


def test_a_net_without_an_input_size_counts_as_one_for_224():
    model = net(side=None)
    assert evaluation.dense_model(model).layers[-1].window == (14, 14)
    assert_exact(model, random_images(1, 240, 260), (14, 14))


def test_logits_become_scores_before_they_are_averaged():
    model = net(classifier_activation=None)
    assert_exact(model, random_images(1, 80, 70), (3, 3))


def small_net(activation="softmax"):
    """Build a sequential net with a map of 3x3 cells."""
    model = keras.Sequential([keras.Input((48, 48, 3))])
    model.add(keras.layers.Conv2D(4, 3, strides=16, padding="same"))
    model.add(SpatialPyramidPooling((2, 1), name="spp"))
    model.add(keras.layers.Dense(7, activation=activation))
    return model


@pytest.mark.parametrize("activation", ["softmax", None])
def test_sequential_models(activation):
    """Keras knows the input and output of their layers only from the first call."""
    model = small_net(activation)
    model(random_images(1, 48, 48))
    functional = keras.Model(model.inputs[0], model.outputs[0])
    images = random_images(2, 80, 70) / 100
    expected = run(evaluation.dense_model(functional), images)
    assert expected.std() > 1e-2
    scores = run(evaluation.dense_model(model), images)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_windows_can_be_rectangular():
    model = ModelA(input_shape=(48, 80, 3), classes=7, width=1 / 64)
    moderate(model)
    assert_exact(model, random_images(1, 80, 112), (3, 5))


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    model = net(channels_first=True)
    assert_exact(model, random_images(2, 80, 75, channels_first=True), (3, 3))


def test_an_image_of_one_window_has_the_scores_of_the_model():
    model = net()
    images = random_images(2, 48, 48)
    np.testing.assert_allclose(
        run(evaluation.dense_model(model), images), run(model, images), atol=1e-6
    )


def test_the_weights_are_shared_with_the_model():
    model = net()
    dense = evaluation.dense_model(model)
    assert {id(weight) for weight in dense.weights} == {id(w) for w in model.weights}
    images = random_images(1, 70, 60)
    before = run(dense, images)
    kernel = model.get_layer("conv3_1").kernel
    kernel.assign(0.5 * ops.convert_to_numpy(kernel))
    assert np.abs(run(dense, images) - before).max() > 1e-3


def test_both_models_can_be_saved(tmp_path):
    model = net()
    dense = evaluation.dense_model(model)
    images = random_images(1, 80, 66)
    for one, x in ((model, images[:, :48, :48]), (dense, images)):
        one.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(run(loaded, x), run(one, x), atol=1e-6)


@pytest.mark.parametrize("constructor", [ModelA, Model14])
@pytest.mark.parametrize(
    "size",
    [
        (64, 901),
        (930, 51),
        pytest.param((65, 902), marks=pytest.mark.slow),
        pytest.param((48, 900), marks=pytest.mark.slow),
    ],
)
def test_strips_have_the_scores_of_the_whole_image(constructor, size):
    model = net(constructor)
    images = random_images(1, *size)
    whole = run(evaluation.dense_model(model), images)
    in_strips = DenseScores(model, pixels=400 * min(size))
    sizes = []
    trunk = in_strips._trunk
    in_strips._trunk = lambda x: sizes.append(x.shape[1:3]) or trunk(x)
    np.testing.assert_allclose(in_strips(images), whole, atol=1e-6)
    assert len(sizes) > 1
    # The scores of an image without its last 16 rows or columns must not pass.
    cut = images[:, : max(size) - 16, : max(size) - 16]
    other = run(evaluation.dense_model(model), cut)
    assert np.abs(other - whole).max() > 1e-5


def test_strips_have_the_map_of_the_whole_image():
    """Averages of scores could hide a wrong cell."""
    model = net()
    in_strips = DenseScores(model, pixels=400 * 48)
    image = random_images(1, 48, 1500)  # four strips
    seen = {}
    in_strips._of_map = lambda maps, axis, most: seen.setdefault("maps", maps)
    in_strips(image)
    dense = evaluation.dense_model(model)
    whole = run(keras.Model(dense.input, dense.layers[-1].input), image)
    np.testing.assert_allclose(seen["maps"], whole, atol=1e-4 * np.abs(whole).max())


def test_batches_of_large_images_are_split():
    model = net()
    images = random_images(5, 64, 80)
    scores = DenseScores(model, pixels=2 * 64 * 80)
    counts = []
    dense = scores._dense
    scores._dense = lambda x: counts.append(len(x)) or dense(x)
    expected = run(evaluation.dense_model(model), images)
    np.testing.assert_allclose(scores(images), expected, atol=1e-5)
    assert counts == [2, 2, 1]


def test_a_net_with_a_mean_image_takes_whole_images():
    """The mean is resized to the input, so strips would have another mean."""
    images = keras.Input((48, 48, 3))
    mean = np.random.default_rng(0).uniform(0, 255, (48, 48, 3))
    x = SubtractMean(mean)(images)
    model = ModelA(input_tensor=x, classes=7, width=1 / 64, include_preprocessing=False)
    image = random_images(1, 48, 700)
    whole = run(evaluation.dense_model(model), image)
    np.testing.assert_allclose(DenseScores(model, 48 * 400)(image), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("padding", "margins"), [("same", (1, 4, 4)), ("valid", (1, 0, 8))]
)
def test_strips_of_a_net_with_dilated_windows(padding, margins):
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, dilation_rate=4, padding=padding)(images)
    x = SpatialPyramidPooling((2, 1))(x)
    model = keras.Model(images, keras.layers.Dense(7, activation="softmax")(x))
    image = random_images(1, 32, 200) / 100
    dense = evaluation.dense_model(model)
    trunk = keras.Model(dense.input, dense.layers[-1].input)
    assert model_surgery.margins(trunk) == margins
    whole = run(dense, image)
    assert whole.std() > 1e-2
    np.testing.assert_allclose(DenseScores(model, 32 * 100)(image), whole, atol=1e-6)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="3x3 cells.*Received: maps of 2x5"):
        evaluation.dense_model(net())(random_images(1, 32, 80))


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("average", [True, False])
def test_images_that_are_too_small_are_refused_by_a_graph_for_all_sizes(average):
    """TensorFlow traces a model once more for a second size, then for any size."""
    dense = evaluation.dense_model(small_net(), average=average)
    for size in ((48, 48), (80, 48), (64, 80)):
        assert np.isfinite(dense.predict(random_images(1, *size), verbose=0)).all()
    for size, cells in (((32, 64), "2 4"), ((64, 32), "4 2"), ((16, 16), "1 1")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=too_small(cells)):
            dense.predict(random_images(1, *size), verbose=0)


def too_small(cells):
    return rf"3x3 cells; enlarge the images. Received: maps of .*\[{cells}\]"


@pytest.mark.tensorflow_only
def test_images_that_are_too_small_are_refused_by_an_exported_model(tmp_path):
    dense = evaluation.dense_model(small_net())
    dense.export(tmp_path / "dense", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "dense")
    images = random_images(1, 64, 80)
    np.testing.assert_allclose(loaded.serve(images), run(dense, images), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=too_small("2 4")):
        loaded.serve(random_images(1, 32, 64))


@pytest.mark.tensorflow_only
def test_keras_does_not_compile_dense_models_with_xla():
    """XLA ignores the check of the size, and Keras uses XLA on GPUs by default."""
    dense = evaluation.dense_model(small_net())
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        dense.compile(jit_compile=True)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ModelA(include_top=False, width=1 / 64), "model that has 0"),
        (lambda: net(classifier_activation="sigmoid"), "end in a softmax"),
        (lambda: "model_a", "Received: model='model_a'"),
    ],
)
def test_other_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        evaluation.dense_model(make())


def test_a_layer_is_built_from_its_configuration_as_often_as_asked():
    top = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    layer = evaluation.dense.SlidingTop((1,), (3, 3), top)
    config = layer.get_config()
    first, second = (type(layer).from_config(config) for _ in range(2))
    assert first.get_config() == second.get_config() == layer.get_config()
