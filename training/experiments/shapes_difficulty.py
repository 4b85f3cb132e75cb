"""How difficult the built-in data set is, for a linear model and a small network.

    python -m training.experiments.shapes_difficulty --output=training/results

Trains both with the paper's augmentation on 48x48 pixels. Writes shapes_difficulty.csv
and, with the full setting, docs/images/shapes.png, some images of each class. The full
setting takes about six minutes on two cores.
"""

import io
import time

import keras
from PIL import Image, ImageDraw

from keras_prelu import data
from keras_prelu.data.shapes_renderer import SHAPES, render
from keras_prelu.files import replacing
from training.experiments import arms
from training.experiments.experiment import fill, program

SIDE = 48


def linear():
    """Return the layers of a linear classifier."""
    return [keras.layers.Flatten()]


def small_network():
    """Return eight 3x3 convolutions in four blocks, with 0.4 million parameters."""
    layers = []
    for filters in (24, 48, 96, 128):
        for _ in range(2):
            layers += [
                keras.layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    use_bias=False,
                    kernel_initializer="he_normal",
                ),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.ReLU(),
            ]
        layers.append(keras.layers.MaxPooling2D())
    return [*layers, keras.layers.GlobalAveragePooling2D()]


# For each classifier its layers, the number of epochs and the learning rate.
CLASSIFIERS = {
    f"linear, on {SIDE} x {SIDE} pixels": (linear, 10, 1e-4),
    "eight convolutions": (small_network, 12, 2e-3),
}


def measure(cell, experiment):
    """Return the validation accuracy of a classifier and its training time."""
    layers, epochs, rate = CLASSIFIERS[cell["classifier"]]
    epochs, batch_size = (1, 16) if experiment.is_small else (epochs, 64)
    train, validation = arms.sources(experiment.setting)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1 / 64, -2),
            *layers(),
            keras.layers.Dense(len(train.class_names), activation="softmax"),
        ]
    )
    steps = data.steps_per_epoch(train, batch_size)
    trained = data.augmented(model, SIDE)
    trained.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
        ),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    scale = (SIDE, SIDE * 5 // 4)
    batches = data.train_batches(train, batch_size, image_size=SIDE, scale=scale)
    crops = data.eval_batches(
        validation, batch_size, image_size=SIDE, scale=SIDE * 9 // 8
    )
    began = time.perf_counter()
    trained.fit(batches, epochs=epochs, steps_per_epoch=steps, verbose=2)
    seconds = time.perf_counter() - began
    accuracy = trained.evaluate(crops, verbose=0)[1]
    return {"epochs": epochs, "accuracy": accuracy, "seconds": seconds}


def draw(path, rows=3, side=96, gap=4, caption=16):
    """Draw sample images, one column per class."""
    columns = len(SHAPES)
    size = (columns * (side + gap) + gap, rows * (side + gap) + gap + caption)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(SHAPES):
        left = gap + column * (side + gap)
        pen.text((left + side / 2, caption / 2), name, "black", anchor="mm")
        for row in range(rows):
            image = Image.open(io.BytesIO(render(name, (0, columns * row + column))))
            image.thumbnail((side, side))
            top = gap + caption + row * (side + gap)
            corner = ((side - image.width) // 2, (side - image.height) // 2)
            sheet.paste(image, (left + corner[0], top + corner[1]))
    with replacing(path) as aside:
        sheet.save(aside, optimize=True)


def run(experiment):
    """Train both classifiers, write the table and draw the images."""
    cells = [{"classifier": name} for name in CLASSIFIERS]
    path = experiment.output / "shapes_difficulty.csv"
    fill(path, cells, lambda cell: measure(cell, experiment))
    draw(experiment.figures / "shapes.png")


if __name__ == "__main__":
    program(run)
