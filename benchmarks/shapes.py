"""How hard the built-in set is: a linear classifier and a small net on it.

python benchmarks/shapes.py                     # about six minutes on two cores
python benchmarks/shapes.py --picture=FILE      # a sheet of samples, no training
"""

import argparse
import io
import time

import keras
from PIL import Image, ImageDraw

from keras_prelu import data
from keras_prelu.data.shapes_renderer import SHAPES, render

SIDE = 48
BATCH = 64


def linear():
    return [keras.layers.Flatten()]


def small_net():
    """Eight 3 x 3 convolutions in four blocks, and an average: 0.4 M parameters."""
    body = []
    for width in (24, 48, 96, 128):
        for _ in range(2):
            body += [
                keras.layers.Conv2D(
                    width,
                    3,
                    padding="same",
                    use_bias=False,
                    kernel_initializer="he_normal",
                ),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.ReLU(),
            ]
        body.append(keras.layers.MaxPooling2D())
    return [*body, keras.layers.GlobalAveragePooling2D()]


def accuracy(body, epochs, rate, train, validation):
    """Validation accuracy after training on the paper's augmentation, and seconds."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1 / 64, -2),
            *body,
            keras.layers.Dense(len(train.class_names), activation="softmax"),
        ]
    )
    steps = data.steps_per_epoch(train, BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
    training_model = data.augmented(model, SIDE)
    training_model.compile(
        keras.optimizers.Adam(schedule),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    scale = (SIDE, SIDE * 5 // 4)
    batches = data.train_batches(train, BATCH, image_size=SIDE, scale=scale)
    plain = data.eval_batches(validation, BATCH, image_size=SIDE, scale=SIDE * 9 // 8)
    start = time.perf_counter()
    training_model.fit(batches, epochs=epochs, steps_per_epoch=steps, verbose=2)
    seconds = time.perf_counter() - start
    return training_model.evaluate(plain, verbose=0)[1], seconds


def sheet(path, columns=16, rows=3, side=96, gap=4, caption=16):
    """Writes a picture of samples, a column a class."""
    size = (columns * (side + gap) + gap, rows * (side + gap) + gap + caption)
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for column, name in enumerate(SHAPES):
        left = gap + column * (side + gap)
        draw.text((left + side / 2, caption / 2), name, "black", anchor="mm")
        for row in range(rows):
            sample = Image.open(io.BytesIO(render(name, (0, columns * row + column))))
            sample.thumbnail((side, side))
            top = gap + caption + row * (side + gap)
            corner = ((side - sample.width) // 2, (side - sample.height) // 2)
            picture.paste(sample, (left + corner[0], top + corner[1]))
    picture.save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", help="write a sheet of samples here")
    arguments = parser.parse_args()
    if arguments.picture:
        sheet(arguments.picture)
        return
    train, validation = data.shapes("train"), data.shapes("validation")
    print("| classifier | epochs | validation accuracy | seconds |\n|---|---|---|---|")
    for name, body, epochs, rate in (
        (f"linear, on {SIDE} x {SIDE} pixels", linear(), 10, 1e-4),
        ("eight convolutions", small_net(), 12, 2e-3),
    ):
        score, seconds = accuracy(body, epochs, rate, train, validation)
        print(
            f"| {name} | {epochs} | {100 * score:.1f} % | {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
