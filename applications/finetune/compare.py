"""What fine-tuning gains: from scratch, head only, fine-tuned and a linear model.

    python applications/finetune/compare.py

On the two sets of targets.py: 40 training pictures and 20 validation pictures of each
unseen shape, 100 to test; 300 training digits, 200 for validation, 1,297 to test. The
best epoch is chosen on the validation pictures, the error is that on the test pictures.
Writes results.csv, a row for each run, after every run, and goes on from it; then
prints the table of README.md. Needs `pip install '.[notebook]'`.
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
SETS = {"pictures": "unseen shapes", "digits": "digits"}
METHODS = {
    "linear": "linear model on the pixels",
    "scratch": "from scratch",
    "head": "head only",
    "tuned": "fine-tuned",
}
SEEDS = (0, 1, 2)
EPOCHS = 40


def open_images(folder, seed):
    """Training, validation and test source of the unseen shapes, and class names."""
    write_images(folder, 160)
    rest, test = data.split(data.from_directory(folder), 100 / 160, seed)
    train, validation = data.split(rest, 20 / 60, seed)
    return [train, validation, test], train.class_names


def error(model, test):
    """Top-1 error on the test pictures, in percent."""
    images, labels = test if isinstance(test, tuple) else as_arrays(test)
    return 100 * float(np.mean(model.predict(images, verbose=0).argmax(1) != labels))


def linear(train, test):
    """Top-1 error of logistic regression on the pixels, in percent."""
    (images, labels), (others, truth) = (
        part if isinstance(part, tuple) else as_arrays(part) for part in (train, test)
    )
    model = LogisticRegression(max_iter=1000)
    model.fit(images.reshape(len(images), -1) / 255, labels)
    guesses = model.predict(others.reshape(len(others), -1) / 255)
    return 100 * float(np.mean(guesses != truth))


def net(weights):
    """The net of the quickstart, with its weights or new."""
    arguments = registry()["shapes"]["arguments"]
    return ModelA(weights=weights, classes=16, input_shape=(SIDE, SIDE, 3), **arguments)


def tune(method, parts, class_names, seed):
    """Top-1 error of a net, in percent; the methods differ in nothing but this."""
    train, validation, test = parts
    is_source = not isinstance(train, tuple)
    sizes = {"scale": (48, 60), "eval_scale": 54} if is_source else {}
    head_epochs = {"scratch": 0, "head": EPOCHS, "tuned": 5}[method]
    tuned = fine_tune(
        net(None if method == "scratch" else "shapes"),
        train,
        validation,
        class_names,
        head_epochs=head_epochs,
        epochs=EPOCHS,
        learning_rate=1e-2,
        patience=None,
        **sizes,
        seed=seed,
        verbose=False,
    )
    return error(tuned.model, test)


def run(name, method, seed, folder):
    """Runs one method on one set."""
    if name == "pictures":
        parts, class_names = open_images(folder, seed)
    else:
        parts, class_names = load_digits((300, 200), seed)
    if method == "linear":
        return linear(parts[0], parts[2])
    return tune(method, parts, class_names, seed)


def show(rows):
    """Prints the table: mean and deviation over the seeds."""
    table = []
    for method, title in METHODS.items():
        cells = []
        for name in SETS:
            found = [
                row["error"]
                for row in rows
                if (row["set"], row["method"]) == (name, method)
            ]
            cells.append(f"{np.mean(found):.1f} ± {np.std(found, ddof=1):.1f}")
        table.append([title, *cells])
    print(markdown(["test error in percent", *SETS.values()], table))


def main():
    """Runs what is not in results.csv yet, and prints the table."""
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
