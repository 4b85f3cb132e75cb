"""Compare fine-tuning with training from scratch, a new head alone, and a linear model.

    python applications/finetune/compare.py

It uses the two sets of targets.py. Of each unseen shape, 40 images are for training, 20
for validation and 100 for the test; of the digits, 300, 200 and 1,297. The validation
images choose the best epoch, and the error is measured on the test images. Each run
adds a row to results.csv, and a second call skips the runs that are in it. At the end
the table of README.md is printed. Needs `pip install '.[notebook]'`.
"""

import argparse
import pathlib
import tempfile

import numpy as np
from sklearn.linear_model import LogisticRegression
from targets import SIDE, as_arrays, load_digits, write_images

from keras_prelu import data
from keras_prelu.applications import ModelA
from keras_prelu.applications.weights import registry
from keras_prelu.finetuning import fine_tune
from keras_prelu.tables import markdown, read_csv, write_csv

HERE = pathlib.Path(__file__).parent
SETS = {"shapes": "Unseen shapes", "digits": "Digits"}
METHODS = {
    "linear": "linear model on the pixels",
    "scratch": "network trained from scratch",
    "head": "trained network, only the head fine-tuned",
    "tuned": "trained network, fine-tuned",
}
SEEDS = (0, 1, 2)
EPOCHS = 40


def open_images(folder, seed):
    """Return the training, validation and test source, and the class names."""
    write_images(folder, 160)
    rest, test = data.split(data.from_directory(folder), 100 / 160, seed)
    train, validation = data.split(rest, 20 / 60, seed)
    return [train, validation, test], train.class_names


def error(model, test):
    """Return the top-1 error on the test images, in percent."""
    images, labels = test if isinstance(test, tuple) else as_arrays(test)
    return 100 * float(np.mean(model.predict(images, verbose=0).argmax(1) != labels))


def linear(train, test):
    """Return the top-1 error of logistic regression on the pixels, in percent."""
    (images, labels), (others, truth) = (
        part if isinstance(part, tuple) else as_arrays(part) for part in (train, test)
    )
    model = LogisticRegression(max_iter=1000)
    model.fit(images.reshape(len(images), -1) / 255, labels)
    guesses = model.predict(others.reshape(len(others), -1) / 255)
    return 100 * float(np.mean(guesses != truth))


def network(weights):
    """Return the quickstart's network, with trained or new weights."""
    arguments = registry()["shapes"]["arguments"]
    return ModelA(weights=weights, classes=16, input_shape=(SIDE, SIDE, 3), **arguments)


def tune(method, parts, class_names, seed):
    """Return the top-1 error of a network, in percent."""
    train, validation, test = parts
    is_source = not isinstance(train, tuple)
    sizes = {"scale": (48, 60), "eval_scale": 54} if is_source else {}
    head_epochs = {"scratch": 0, "head": EPOCHS, "tuned": 5}[method]
    tuned = fine_tune(
        network(None if method == "scratch" else "shapes"),
        train,
        validation,
        class_names,
        head_epochs=head_epochs,
        epochs=EPOCHS,
        head_learning_rate=1e-2,
        learning_rate=1e-2,
        patience=None,
        batch_size=32,
        **sizes,
        seed=seed,
        verbose=False,
    )
    return error(tuned.model, test)


def run(name, method, seed, folder):
    """Run one method on one set, and return its error."""
    if name == "shapes":
        parts, class_names = open_images(folder, seed)
    else:
        parts, class_names = load_digits((300, 200), seed)
    if method == "linear":
        return linear(parts[0], parts[2])
    return tune(method, parts, class_names, seed)


def show(rows):
    """Print the table: mean and standard deviation over the seeds."""
    table = []
    for method, title in METHODS.items():
        cells = []
        for name in SETS:
            errors = [
                row["error"]
                for row in rows
                if (row["set"], row["method"]) == (name, method)
            ]
            cells.append(f"{np.mean(errors):.1f} ± {np.std(errors, ddof=1):.1f}")
        table.append([title, *cells])
    print(markdown(["Top-1 error on test images (%)", *SETS.values()], table))


def main():
    """Run what is not in results.csv yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "results.csv")
    path = parser.parse_args().output
    rows = read_csv(path) if path.exists() else []
    done = {(row["set"], row["method"], row["seed"]) for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            for method in METHODS:
                for seed in SEEDS:
                    if (name, method, seed) in done:
                        continue
                    key = {"set": name, "method": method, "seed": seed}
                    percent = run(name, method, seed, folder)
                    rows.append({**key, "error": percent})
                    write_csv(path, rows, digits=4)
                    print(f"{name}, {method}, seed {seed}: {percent:.2f} %", flush=True)
    show(rows)


if __name__ == "__main__":
    main()
