"""Parameters and multiply-adds of all models, at full width and 224x224.

python benchmarks/costs.py
"""

from _measure import print_table

from keras_prelu.analysis import multiply_adds
from keras_prelu.applications import CONSTRUCTORS
from keras_prelu.keras_internals import shapes_only


def main():
    """Print the table."""
    rows = []
    for constructor in CONSTRUCTORS.values():
        with shapes_only():
            model = constructor()
        parameters = f"{model.count_params() / 1e6:.1f}"
        rows.append((constructor.__name__, parameters, f"{multiply_adds(model):.2e}"))
    print_table(("constructor", "million parameters", "multiply-adds"), rows)


if __name__ == "__main__":
    main()
