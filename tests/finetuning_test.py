"""Tests of fine-tuning: the head, the stages, the data, the defaults, the resume."""

import itertools
import json
import os
import re
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_prelu
from keras_prelu import applications, data
from keras_prelu.callbacks import CheckpointError, NotFiniteError, Preempted
from keras_prelu.data.fingerprints import differences
from keras_prelu.data.pipeline_options import stream_options
from keras_prelu.finetuning import datasets, fine_tune, with_new_head
from keras_prelu.finetuning.best_weights import BestWeights
from keras_prelu.finetuning.class_weights import weighted
from keras_prelu.finetuning.options import Options


def _net(**arguments):
    return applications.ModelA(
        width=1 / 64, classes=10, input_shape=(32, 32, 3), **arguments
    )


def _small_net(dropout=0.0):
    """Return a network with all kinds of weights that compiles quickly.

    Its bins are small, so that slopes have a gradient: some maxima are negative.
    """
    x = images = keras.Input((32, 32, 3))
    x = keras_prelu.layers.SubtractMean(name="mean")(x)
    for name in ("1", "2"):
        x = keras.layers.Conv2D(4, 3, strides=2, name=f"conv{name}")(x)
        x = keras_prelu.layers.PReLU(name=f"prelu{name}")(x)
    x = keras_prelu.layers.SpatialPyramidPooling((4, 1), name="spp")(x)
    x = keras.layers.Dropout(dropout, name="drop")(x)
    x = keras.layers.Dense(10, name="fc")(x)
    return keras.Model(images, keras.layers.Activation("softmax", name="scores")(x))


def _arrays(count=24, seed=0):
    """Return bright and dark images, which any network can learn to tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.uniform(0, 90, (count, 32, 32, 3)) + 150 * labels[:, None, None, None]
    return images.astype("float32"), labels


def _noise():
    """Return images with random labels, so that the gradient is never zero."""
    rng = np.random.default_rng(2)
    images = rng.uniform(0, 255, (24, 32, 32, 3)).astype("float32")
    return images, rng.integers(0, 2, 24)


def _tune(model=None, **arguments):
    return fine_tune(
        model or _small_net(),
        **{
            "train": _arrays(),
            "validation": _arrays(8, seed=1),
            "class_names": ["dark", "bright"],
            "head_epochs": 2,
            "epochs": 4,
            "batch_size": 8,
            "verbose": False,
            **arguments,
        },
    )


class _Weights(keras.callbacks.Callback):
    """Keeps the weights of every layer at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(
            {
                w.path: w.numpy().copy()
                for w in self.model.weights
                if "seed" not in w.path
            }
        )


class _Stop(keras.callbacks.Callback):
    """Stands for a process that dies at the start of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


class _Terminate(keras.callbacks.Callback):
    """Asks the process to end after a step, as a scheduler does."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.when = epoch, batch
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.when:
            os.kill(os.getpid(), signal.SIGTERM)


# The head ----------------------------------------------------------------------


@pytest.mark.tensorflow_only
def test_the_copy_has_the_body_of_the_model_and_a_new_head():
    model = _net()
    before = [w.copy() for w in model.get_weights()]
    copy, head = with_new_head(model, 3)
    assert copy.output_shape == (None, 3)
    for layer in copy.layers:
        if layer.name not in head:
            ours = model.get_layer(layer.name).get_weights()
            for a, b in zip(ours, layer.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
    kernel, bias = copy.get_layer("fc3").get_weights()
    # The standard error of 192 values is 5 %, and Keras's default would be 0.17.
    assert 0.008 < kernel.std() < 0.012
    assert not bias.any()
    copy.set_weights([w + 1 for w in copy.get_weights()])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pooling", [None, "avg"])
def test_a_model_without_a_top_gets_one(pooling):
    model = _net(include_top=False, pooling=pooling)
    copy, head = with_new_head(model, 3)
    x = _arrays(2)[0]
    features = model.predict(x, verbose=0)
    features = features if pooling else features.mean(axis=(1, 2))
    kernel, bias = copy.get_layer(head[0]).get_weights()
    logits = features @ kernel + bias
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(copy.predict(x, verbose=0), scores, atol=1e-5)


@pytest.mark.tensorflow_only
def test_a_model_of_keras_gets_a_new_head_too():
    model = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), include_top=False, pooling="avg"
    )
    copy, _ = with_new_head(model, 3)
    assert copy.output_shape == (None, 3)
    classifier = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, activation="softmax", name="a")]
    )
    copy, head = with_new_head(classifier, 3)
    assert [layer.name for layer in copy.layers][1:] == head == ["a", "a_softmax"]


@pytest.mark.tensorflow_only
def test_a_model_of_keras_with_another_top_keeps_it():
    model = keras.applications.MobileNet(
        alpha=0.25, weights=None, input_shape=(32, 32, 3), classes=10
    )
    assert "predictions" in [layer.name for layer in model.layers]
    copy, head = with_new_head(model, 3)
    assert head == ["head", "predictions_1"]
    assert [layer.name for layer in copy.layers[-2:]] == head


def test_all_layers_of_the_head_have_names_of_their_own():
    taken = ["head", "head_1", "predictions", "head_pool"]
    layers = [keras.layers.ReLU(name=name) for name in taken]
    copy, head = with_new_head(keras.Sequential([keras.Input((4, 4, 3)), *layers]), 3)
    assert head == ["head_2", "predictions_1"]
    names = [layer.name for layer in copy.layers][1:]
    assert names == [*taken, "head_pool_1", *head]
    layers = [keras.layers.ReLU(name="a_softmax"), keras.layers.Dense(5, name="a")]
    copy, head = with_new_head(keras.Sequential([keras.Input((4,)), *layers]), 3)
    assert head == ["a", "a_softmax_1"]


def test_a_head_of_one_class_is_refused():
    with pytest.raises(ValueError, match="`classes`.*at least 2. Received: classes=1"):
        with_new_head(_small_net(), classes=1)


def test_a_model_without_a_graph_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="`model` must be a functional or built"):
        with_new_head(Own(), 3)
    maps = keras.Sequential([keras.Input((4, 3)), keras.layers.ReLU()])
    with pytest.raises(
        ValueError, match=r"Received: model.output_shape=\(None, 4, 3\)"
    ):
        with_new_head(maps, 3)


# The stages --------------------------------------------------------------------


def test_the_first_stage_trains_the_head_only_and_the_second_trains_all():
    model, seen = _small_net(), _Weights()
    _tune(model, train=_noise(), callbacks=[seen], patience=None)
    start = {w.path: w.numpy() for w in model.weights}
    assert len(seen.epochs) == 4
    for path, value in seen.epochs[1].items():
        same = value.shape == start[path].shape and (value == start[path]).all()
        assert same != path.startswith("fc/"), path
    changed = {
        path.split("/")[-2]
        for path, value in seen.epochs[3].items()
        if (value != seen.epochs[1][path]).any()
    }
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert changed == trainable


def test_layers_before_the_named_one_are_not_trained():
    seen = _Weights()
    _tune(train=_noise(), callbacks=[seen], unfreeze_from="conv2", patience=None)
    changed = {
        path.split("/")[-2]
        for path, value in seen.epochs[3].items()
        if (value != seen.epochs[1][path]).any()
    }
    assert changed == {"conv2", "prelu2", "fc"}


def test_one_history_over_both_stages():
    tuned = _tune(
        head_learning_rate=0.5, learning_rate=0.25, patience=None, callbacks=None
    )
    assert tuned.history["epoch"] == [1, 2, 3, 4]
    assert tuned.history["stage"] == ["head", "head", "all", "all"]
    assert tuned.history["learning_rate"] == [0.5, 0.5, 0.25, 0.25]
    assert tuned.class_names == ["dark", "bright"]
    assert len(tuned.history["val_top1_error"]) == 4


def test_it_learns_and_the_model_has_the_weights_of_the_best_epoch():
    seen = _Weights()
    tuned = _tune(callbacks=[seen], epochs=6, patience=None)
    images, labels = _arrays(8, seed=1)
    scores = tuned.model.predict(images, verbose=0)
    error = np.mean(scores.argmax(axis=1) != labels)
    errors, losses = (tuned.history[f"val_{n}"] for n in ("top1_error", "loss"))
    best = min(range(6), key=lambda i: (errors[i], losses[i]))
    assert tuned.best_epoch == best + 1
    assert error == pytest.approx(errors[best]) == 0.0
    for weight in tuned.model.weights:
        if weight.path in seen.epochs[best]:
            np.testing.assert_array_equal(weight, seen.epochs[best][weight.path])


def _logs(val_error, val_loss, loss=1.0):
    return {"loss": loss, "val_top1_error": val_error, "val_loss": val_loss}


def test_best_epoch_and_patience():
    best = BestWeights(patience=2)
    best.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    best.model.stop_training = False  # as `fit` does

    def epoch(number, error, loss):
        best.model.set_weights([np.full((1, 1), number), np.zeros(1)])
        best.on_epoch_end(number - 1, _logs(error, loss))
        return best.model.stop_training

    assert not epoch(1, 0.5, 1.0)
    assert not epoch(2, 0.5, 0.9)  # of equal errors, the least loss
    assert not any(epoch(n, 0.6, 0.1) for n in (3, 4, 5, 6))
    best.begin_stage()  # from now on the run may end
    assert not epoch(7, 0.9, 0.1)  # the new stage begins with worse weights,
    assert not epoch(8, 0.8, 0.1)  # but improves,
    assert not epoch(9, 0.7, 0.1)
    assert not epoch(10, 0.8, 0.1)
    assert epoch(11, 0.8, 0.1)  # and ends two epochs after its own best
    assert best.epoch == 2
    best.restore()
    assert best.model.get_weights()[0] == 2


@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_not_finite_ends_the_run(name):
    best = BestWeights()
    best.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    logs = _logs(0.5, 1.0)
    best.on_epoch_end(0, logs)
    for value in (float("nan"), float("inf")):
        with pytest.raises(NotFiniteError, match=f"`{name}` is {value} in epoch 2"):
            best.on_epoch_end(1, {**logs, name: value})
    assert best.epoch == 1


@pytest.mark.parametrize("argument", ["train", "validation"])
def test_images_that_are_not_finite_end_a_run_without_a_directory(argument):
    images, labels = _arrays(8)
    images[0] = np.nan
    with pytest.raises(NotFiniteError, match="is nan in epoch 1"):
        _tune(**{argument: (images, labels)})


def test_patience_continues_after_a_resume():
    best, resumed = BestWeights(patience=2), BestWeights(patience=2)
    for callback in (best, resumed):
        callback.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
        callback.model.stop_training = False
        callback.begin_stage()
    for number, error in enumerate((0.5, 0.6)):
        best.on_epoch_end(number, _logs(error, 1.0))
    resumed.set_state(best.get_state())
    resumed.on_epoch_end(2, _logs(0.6, 1.0))
    assert resumed.model.stop_training


def test_class_weights_weigh_the_loss():
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0, 255, (8, 32, 32, 3)), np.array([0] * 6 + [1] * 2)
    images, net = images.astype("float32"), _small_net()

    def first_loss(class_weight):
        tuned = _tune(
            net,
            train=(images, labels),
            head_epochs=1,
            epochs=1,
            head_learning_rate=1e-9,
            class_weight=class_weight,
        )
        return tuned.history["loss"][0], tuned.model

    plain, model = first_loss(None)
    scores = model.predict(images, verbose=0)
    losses = -np.log(scores[np.arange(8), labels])
    assert plain == pytest.approx(losses.mean(), rel=1e-4)
    for given, weights in (("balanced", [8 / 12, 8 / 4]), ({0: 3.0, 1: 5.0}, [3, 5])):
        expected = (np.array(weights)[labels] * losses).mean()
        # Keras divides by the number of examples, or by the sum of the weights.
        divided = (np.array(weights)[labels] * losses).sum() / np.array(weights)[
            labels
        ].sum()
        loss = first_loss(given)[0]
        assert loss in (
            pytest.approx(expected, rel=1e-4),
            pytest.approx(divided, rel=1e-4),
        )
        assert abs(loss - plain) > 1e-4


@pytest.mark.tensorflow_only
def test_labels_of_any_integer_type_choose_class_weights():
    """The sets of `keras.datasets` have labels of 8 bits."""

    def weights(dtype):
        batches = _batches().map(lambda x, y: (x, tf.cast(y, dtype)))
        options = Options(class_names=["a", "b"])
        prepared = datasets.prepare(batches, batches, options, _small_net())
        _, labels, weight = next(iter(weighted(prepared, {0: 3, 1: 5}).train(0)))
        assert labels.dtype == dtype
        return weight.numpy().tolist()

    labels = next(iter(_batches()))[1].numpy()
    for dtype in ("uint8", "int8", "uint16", "int64"):
        assert weights(dtype) == [(3, 5)[label] for label in labels]


# The defaults ------------------------------------------------------------------


@pytest.mark.parametrize(
    "examples, batch_size, head_epochs, epochs, learning_rate",
    [
        (6, 6, 250, 1000, 0.01),
        (60, 8, 32, 125, 0.01),
        (288, 16, 14, 56, 0.01),
        (900, 32, 9, 35, 0.01),
        (3000, 32, 5, 20, 0.005),
        (100_000, 32, 5, 20, 0.001),
    ],
)
def test_the_defaults_depend_on_the_size_of_the_set(
    examples, batch_size, head_epochs, epochs, learning_rate
):
    assert Options().batch_size_for(examples) == batch_size
    steps = -(-examples // batch_size)
    plan = Options().plan(steps, batch_size)
    assert (plan.head_epochs, plan.epochs) == (head_epochs, epochs)
    assert (plan.head_learning_rate, plan.learning_rate) == (0.01, learning_rate)
    assert plan.patience == head_epochs
    assert plan.epochs * steps >= 1000


def test_given_options_are_not_changed():
    given = {
        "head_epochs": 30,
        "epochs": 31,
        "head_learning_rate": 0.5,
        "learning_rate": 0.25,
        "patience": None,
        "batch_size": 7,
    }
    options = Options(**given)
    plan = options.plan(9, options.batch_size_for(60))
    assert {name: getattr(plan, name) for name in given} == given
    # A long head stage does not shorten the second one.
    assert Options(head_epochs=100).plan(8, 8).epochs == 100 + 125 - 32
    assert Options(epochs=3).plan(8, 8).head_epochs == 1


def test_integers_of_numpy_are_integers():
    given = {
        "head_epochs": np.int64(2),
        "epochs": np.int32(4),
        "batch_size": np.int8(7),
    }
    options = Options(**given)
    plan = options.plan(9, options.batch_size_for(60))
    numbers = [getattr(plan, name) for name in given]
    # As `json` can write them, for the checkpoints.
    assert json.dumps(numbers) == "[2, 4, 7]"
    with pytest.raises(ValueError, match="`epochs` must be an integer"):
        Options(epochs=np.float64(2))


def test_the_plan_is_shown_before_training(capsys):
    with pytest.raises(KeyboardInterrupt):
        _tune(
            verbose=True,
            callbacks=[_Stop(0)],
            head_epochs="auto",
            epochs="auto",
            unfreeze_from="conv2",
        )
    assert capsys.readouterr().out.splitlines() == [
        "Fine-tuning on 24 images of 2 classes: 3 steps per epoch, up to 8 images per "
        "step",
        "  epochs 1 to 84: new head, 252 steps at the learning rate 0.01",
        "  epochs 85 to 334: from conv2 on, 750 steps at the learning rate 0.01",
        "  ends early after 84 epochs without improvement in the second stage",
    ]


def _write_textures(folder, count, seed):
    """Write images of three classes that are easy to tell apart."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:80, :100]
    for name in ("noise", "plain", "stripes"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = np.ones((80, 100, 3)) * rng.uniform(60, 200, 3)
            if name == "noise":
                image += rng.normal(0, 50, image.shape)
            if name == "stripes":
                angle, width = rng.uniform(0, np.pi), rng.uniform(2, 5)
                wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / width)
                image += 50 * np.sign(wave)[..., None]
            pixels = image.clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return data.from_directory(folder)


@pytest.mark.slow
def test_the_defaults_learn_a_small_set_of_easy_classes(tmp_path):
    began = time.monotonic()
    train, validation = data.split(_write_textures(tmp_path / "photos", 30, seed=0))
    arguments = applications.weights.registry()["shapes"]["arguments"]
    model = applications.ModelA(
        weights="shapes", classes=16, input_shape=(48, 48, 3), **arguments
    )
    tuned = fine_tune(model, train, validation, verbose=False)
    test = _write_textures(tmp_path / "test", 40, seed=1)
    evaluation = keras_prelu.evaluation.evaluate(
        tuned.model, test, "center", scales=(54,), flip=False, verbose=0
    )
    assert evaluation.top1 <= 0.05
    assert time.monotonic() - began < 180


# Data --------------------------------------------------------------------------


def _pooling_net(*shape, data_format="channels_last"):
    pooling = keras.layers.GlobalAveragePooling2D(data_format)
    return keras.Sequential([keras.Input(shape), pooling, keras.layers.Dense(2)])


@pytest.mark.parametrize(
    "model, message",
    [
        (
            _pooling_net(32, 48, 3),
            r"take square images.*\(None, 32, 48, 3\)",
        ),
        (
            _pooling_net(3, 32, 32, data_format="channels_first"),
            r".*channels last.*Received: .*\(None, 3, 32, 32\)",
        ),
    ],
)
def test_sources_need_a_model_of_square_images_with_the_channels_last(
    tmp_path, model, message
):
    source = _write_textures(tmp_path, 2, seed=0)
    with pytest.raises(ValueError, match=f"Argument `model` must {message}"):
        _tune(model, train=source, validation=source, class_names=None)


@pytest.mark.parametrize(
    "shape, expected", [((None, 40, 3), 40), ((40, 40, 3), 40), ((None, None, 3), 224)]
)
def test_crops_have_the_size_of_the_models_images(tmp_path, shape, expected):
    source = _write_textures(tmp_path, 2, seed=0)
    prepared = datasets.prepare(source, source, Options(), _pooling_net(*shape))
    images, _ = next(iter(prepared.validation))
    assert images.shape[1:3] == (expected, expected)


def test_arrays_need_not_be_square():
    images, labels = _arrays()
    pair = images[:, :20], labels
    tuned = _tune(_pooling_net(20, 32, 3), train=pair, validation=pair)
    assert tuned.model.input_shape == (None, 20, 32, 3)


@pytest.mark.tensorflow_only
def test_a_data_set_of_batches_is_not_changed():
    images, labels = _arrays()
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(10)
    plain = tf.data.Dataset.from_tensor_slices(_arrays(8, seed=1)).batch(8)
    batches, plain = (d.with_options(stream_options()) for d in (batches, plain))
    tuned = _tune(train=batches, validation=plain, epochs=5)
    assert tuned.history["val_top1_error"][tuned.best_epoch - 1] == 0.0


def _batches(count=24, seed=0):
    return tf.data.Dataset.from_tensor_slices(_arrays(count, seed)).batch(8)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("argument", ["train", "validation"])
def test_a_data_set_without_an_end_is_refused(argument):
    given = {"train": _batches(), "validation": _batches(8)}
    given[argument] = given[argument].repeat()
    with pytest.raises(ValueError, match=f"Argument `{argument}` must end.*repeats"):
        _tune(**given)


def _labels_plus_5(images, labels):
    return images, labels + 5


def _with_weights(images, labels):
    return images, labels, tf.ones_like(labels)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("argument", ["train", "validation"])
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.map(_with_weights), r"of batches \(images, labels\). Received: "),
        (lambda d: d.unbatch(), r"of batches \(images, labels\). Received: "),
        (lambda d: d.take(0), "must hold a batch. Received: an empty set"),
        (lambda d: d.map(_labels_plus_5), r"labels in 0 \.\.\. 1.*labels=5 \.\.\. 6"),
    ],
)
def test_a_data_set_of_another_form_is_refused(argument, change, message):
    given = {"train": _batches(), "validation": _batches(8)}
    given[argument] = change(given[argument])
    with pytest.raises(ValueError, match=f"Argument `{argument}` .*{message}"):
        _tune(**given)


@pytest.mark.tensorflow_only
def test_a_data_set_of_unknown_length_is_counted():
    spec = _batches().element_spec
    unknown = tf.data.Dataset.from_generator(
        lambda: iter(_batches()), output_signature=spec
    )
    assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    options = Options(class_names=["dark", "bright"])
    prepared = datasets.prepare(unknown, unknown, options, _small_net())
    assert (prepared.steps, prepared.examples) == (3, 24)


def test_arrays_are_shuffled_each_image_once_an_epoch():
    images = np.arange(6, dtype="float32").reshape(6, 1)
    pair = images, np.arange(6) % 2
    options = Options(class_names=["a", "b"], batch_size=2)
    prepared = datasets.prepare(pair, pair, options, _small_net())
    assert prepared.steps == 3

    def first_batches(count, start=0):
        batches = itertools.islice(prepared.train(start), count)
        return [
            tuple(np.asarray(column).ravel() for column in pair) for pair in batches
        ]

    seen = [x.tolist() for x, _ in first_batches(6)]
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == [0, 1, 2, 3, 4, 5]
    assert first != second
    assert first_batches(1, 4)[0][0].tolist() == seen[4]
    for x, y in first_batches(3):
        assert (x % 2 == y).all()


def test_images_in_0_1_are_warned_about_once(recwarn):
    images, labels = _arrays()
    _tune(train=(images / 255, labels), head_epochs=1, epochs=2)
    [warning] = [w for w in recwarn if "[0, 255]" in str(w.message)]
    assert warning.category is UserWarning
    assert "multiply the images by 255" in str(warning.message)


def test_images_in_0_1_suit_a_model_without_preprocessing(recwarn):
    images, labels = _arrays()
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    _tune(model, train=(images / 255, labels), head_epochs=1, epochs=1)
    _tune(head_epochs=1, epochs=1)  # images in [0, 255], with preprocessing
    assert not [w for w in recwarn if "[0, 255]" in str(w.message)]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"train": [1, 2]}, "Argument `train` must be a source"),
        ({"validation": data.Source(["a"])}, "must be of the kind of `train`"),
        ({"class_names": None}, "Argument `class_names` must name the classes"),
        (
            {"class_names": ["one"]},
            r"`train` must have labels in 0 ... 0.*Received: labels=0 ... 1",
        ),
        (
            {
                "train": (_arrays()[0], np.zeros(24, int)),
                "validation": (_arrays(8)[0], np.zeros(8, int)),
                "class_names": ["one"],
            },
            r"must have at least two classes.*Received: class_names=\['one'\]",
        ),
        ({"class_names": 2}, "Received: class_names=2"),
        ({"class_names": "ab"}, "Received: class_names='ab'"),
        ({"class_names": [1, 2]}, r"list of strings.*Received: class_names=\[1, 2\]"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"callbacks": keras.callbacks.History()}, "list of Keras callbacks"),
        ({"train": (1, 2)}, r"`train` must be a tuple of arrays \(images, labels\)"),
        ({"validation": ()}, "`validation` must be .*Received: 0 items"),
        ({"train": (*_arrays(), None)}, "`train` must be .*Received: 3 items"),
        ({"scale": (32, 40)}, "Arguments `scale` and `eval_scale` must be None"),
        ({"head_epochs": -1}, "Received: head_epochs=-1"),
        ({"epochs": 1}, "Received: epochs=1, head_epochs=2"),
        ({"patience": 0}, "Received: patience=0"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"epochs": "many"}, "or \"auto\". Received: epochs='many'"),
        ({"learning_rate": 0.0}, "Received: learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "Received: learning_rate=nan"),
        ({"unfreeze_from": "conv9"}, "Received: unfreeze_from='conv9'"),
        ({"class_weight": {0: 1.0}}, "Argument `class_weight` must be None"),
        ({"class_weight": {0: 1.0, 1: -1}}, "at least 0 .*Received: class_weight={0"),
        ({"class_weight": {0: 1.0, 1: np.nan}}, "at least 0 .*Received: class_weight"),
        (
            {"train": (_arrays()[0], np.eye(2)[_arrays()[1]])},
            "`train` must have integer labels",
        ),
        ({"train": (_arrays()[0], [0])}, "Received: 24 images, 1 labels"),
        (
            {"model": keras.Sequential([keras.layers.Dense(2)])},
            "Argument `model` must be a functional or built sequential Keras model",
        ),
    ],
)
def test_bad_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        _tune(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"scale": 36}, {"scale": ()}, {"scale": "ab"}, {"eval_scale": 0}]
)
def test_wrong_scales_of_sources_are_refused(tmp_path, wrong):
    source = _write_textures(tmp_path, 2, seed=0)
    (value,) = wrong.values()
    message = re.escape(f"Received: scale={value!r}")
    with pytest.raises(ValueError, match=f"Argument `scale` must be .*{message}"):
        _tune(train=source, validation=source, class_names=None, **wrong)


# Resume ------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path, epoch):
    model = _small_net(dropout=0.5)
    # Random labels: the second stage improves at first, and soon no longer.
    arguments = {"epochs": 9, "patience": 2, "learning_rate": 0.03, "train": _noise()}
    keras.utils.set_random_seed(1)
    whole = _tune(model, directory=tmp_path / "whole", **arguments)
    with pytest.raises(KeyboardInterrupt):
        keras.utils.set_random_seed(1)
        with _often():
            _tune(
                model, directory=tmp_path / "cut", callbacks=[_Stop(epoch)], **arguments
            )
    keras.utils.set_random_seed(1)
    again = _tune(model, directory=tmp_path / "cut", **arguments)
    assert again.history == whole.history
    assert again.best_epoch == whole.best_epoch
    for a, b in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    once_more = _tune(model, directory=tmp_path / "cut", **arguments)
    assert once_more.history == whole.history
    # The patience ended it, two epochs after the best epoch of the second stage.
    errors, losses = (
        whole.history[name][2:] for name in ("val_top1_error", "val_loss")
    )
    ranks = [*zip(errors, losses, strict=True)]
    assert whole.history["epoch"][-1] == 3 + ranks.index(min(ranks)) + 2 < 9


def _often():
    """Make every run save a checkpoint after every step."""
    from unittest import mock

    original = keras_prelu.callbacks.ExactResume.__init__

    def init(self, directory):
        original(self, directory, seconds=0.0, fraction=1.0)

    return mock.patch.object(keras_prelu.callbacks.ExactResume, "__init__", init)


def test_sigterm_during_the_last_save_of_the_head_ends_the_run(tmp_path, monkeypatch):
    real = np.savez

    def asked(file, **arrays):
        os.kill(os.getpid(), signal.SIGTERM)
        real(file, **arrays)

    monkeypatch.setattr(np, "savez", asked)
    with pytest.raises(Preempted):
        _tune(directory=tmp_path, head_epochs=1, epochs=2)
    assert [folder.name for folder in tmp_path.iterdir()] == ["head"]
    monkeypatch.undo()
    tuned = _tune(directory=tmp_path, head_epochs=1, epochs=2)
    assert tuned.history["stage"] == ["head", "all"]


def test_an_epoch_without_a_speed_leaves_a_gap_in_the_history(tmp_path):
    def tune(*more):
        progress = keras_prelu.callbacks.Progress(None, None, show=False)
        return _tune(
            directory=tmp_path,
            head_epochs=1,
            epochs=3,
            patience=None,
            callbacks=[progress, *more],
        )

    # One step of the second epoch is left, and the speed leaves out the first step.
    with pytest.raises(SystemExit):
        tune(_Terminate(epoch=1, batch=1))
    history = tune().history
    speeds = history["images_per_second"]
    assert [speed is None for speed in speeds] == [False, True, False]
    assert history["epoch"] == [1, 2, 3]
    assert None not in history["loss"]


@pytest.mark.tensorflow_only
def test_several_workers_are_refused(monkeypatch):
    monkeypatch.setattr("keras_prelu.distribution.worker", lambda strategy: (1, 2))
    with pytest.raises(ValueError, match="one machine.*Received: a model of 2 workers"):
        _tune()


def test_the_progress_of_a_caller_measures_the_wait_too(capsys):
    progress = keras_prelu.callbacks.Progress(None, epochs=None)
    _tune(callbacks=[progress], head_epochs=1, epochs=2, verbose=True)
    assert [0 <= row["input_wait"] <= 1 for row in progress.rows] == [True, True]
    assert (progress.batch_size, progress.epochs) == (8, 2)
    lines = capsys.readouterr().out.splitlines()
    # Its lines replace those of `verbose`.
    assert sum(line.startswith("Epoch ") for line in lines) == 2


def test_other_data_or_settings_are_not_resumed(tmp_path):
    _tune(directory=tmp_path, head_epochs=1, epochs=1)
    images, labels = _arrays()
    again = {"directory": tmp_path, "head_epochs": 1, "epochs": 2}
    with pytest.raises(CheckpointError, match=r"data\.train\.labels: .* before"):
        _tune(train=(images, 1 - labels), **again)
    with pytest.raises(CheckpointError, match=r"data\.validation\.shape: .*8.*, .*7"):
        _tune(validation=_arrays(7, seed=1), **again)
    with pytest.raises(CheckpointError, match="settings.seed: 0 before, 1 now"):
        _tune(seed=1, **again)
    assert _tune(**again).history["epoch"] == [1, 2]


@pytest.mark.parametrize("argument", ["train", "validation"])
@pytest.mark.parametrize("name", ["images", "labels", "dtype", "shape"])
def test_arrays_are_told_apart_by_their_values(argument, name):
    given = {"train": _arrays(), "validation": _arrays(8, seed=1)}
    plain = _fingerprint(**given)
    assert _fingerprint(**given) == plain
    images, labels = given[argument]
    one_pixel = images.copy()
    one_pixel[-1, -1, -1, -1] += 1
    given[argument] = {
        "images": (one_pixel, labels),
        "labels": (images, 1 - labels),
        "dtype": (images.astype("float64"), labels),
        "shape": (images[:, :16], labels),
    }[name]
    changed = differences(plain, _fingerprint(**given))
    assert f"{argument}.{name}" in [line.split(":")[0] for line in changed]
    assert all(line.startswith(f"{argument}.") for line in changed)


def test_sources_are_told_apart_by_the_names_of_their_files(tmp_path):
    _write_textures(tmp_path / "train", 2, seed=0)
    _write_textures(tmp_path / "validation", 2, seed=1)
    train, validation = (
        data.from_directory(tmp_path / name) for name in ("train", "validation")
    )
    plain = _fingerprint(train, validation)
    (tmp_path / "validation/noise/1.png").rename(tmp_path / "validation/noise/2.png")
    renamed = data.from_directory(tmp_path / "validation")
    [changed] = differences(plain, _fingerprint(train, renamed))
    assert changed.startswith("validation.files.noise: 2 files, names ")


def test_a_run_gets_more_epochs_if_the_head_stage_keeps_its_own(tmp_path):
    _tune(directory=tmp_path, head_epochs="auto", epochs=2)
    again = {"directory": tmp_path, "epochs": 5}
    with pytest.raises(CheckpointError, match="settings.head_epochs: 1 before, 2 now"):
        _tune(head_epochs="auto", **again)
    tuned = _tune(head_epochs=1, learning_rate=0.01, **again)
    assert tuned.history["stage"] == ["head", *["all"] * 4]


def _fingerprint(train, validation):
    names = None if isinstance(train, data.Source) else ["dark", "bright"]
    options = Options(class_names=names)
    return datasets.prepare(train, validation, options, _small_net()).fingerprint()


@pytest.mark.tensorflow_only
def test_data_sets_are_told_apart_by_their_sizes():
    plain = _fingerprint(_batches(), _batches(8))
    assert _fingerprint(_batches(), _batches(8)) == plain
    # A data set may shuffle its images, and alter them, in each epoch.
    assert _fingerprint(_batches(seed=1).shuffle(3), _batches(8)) == plain
    for others in (
        (_batches(23), _batches(8)),
        (_batches(), _batches(7)),
        (_batches(), _batches(8).unbatch().batch(4)),
        (_batches(), _batches(8).map(lambda x, y: (x[:, :9], y))),
    ):
        assert _fingerprint(*others) != plain


@pytest.mark.parametrize("class_weight", [None, {0: 1, 1: 3}])
def test_batches_of_arrays_are_the_same_on_all_backends(monkeypatch, class_weight):
    def batches():
        options = Options(class_names=["a", "b"], batch_size=4, seed=3)
        prepared = datasets.prepare(_arrays(10), _arrays(7), options, _small_net())
        if class_weight:
            prepared = weighted(prepared, class_weight)
        endless = iter(prepared.train(2))
        return [next(endless) for _ in range(4)], list(prepared.validation)

    streamed = batches()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    held = batches()
    for ours, theirs in zip(held, streamed, strict=True):
        assert len(ours) == len(theirs)
        for arrays, tensors in zip(ours, theirs, strict=True):
            for array, tensor in zip(arrays, tensors, strict=True):
                np.testing.assert_array_equal(array, tensor)


def test_validation_arrays_are_checked_like_training_arrays():
    images, labels = _arrays(8)
    with pytest.raises(ValueError, match="`validation`.*8 images, 7 labels"):
        _tune(validation=(images, labels[:7]))
