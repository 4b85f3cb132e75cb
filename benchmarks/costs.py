"""Parameters and multiply-adds of the nets, at full width and 224x224.

python benchmarks/costs.py
"""

from _measure import print_table

import keras_prelu
from keras_prelu.analysis import multiply_adds
from keras_prelu.keras_internals import shapes_only

NAMES = ("ModelA", "ModelB", "ModelC", "Model14", "Model30")


def main():
    """Prints the table."""
    rows = []
    for name in NAMES:
        with shapes_only():
            model = getattr(keras_prelu.applications, name)()
        rows.append(
            (name, f"{model.count_params() / 1e6:.1f}", f"{multiply_adds(model):.2e}")
        )
    print_table(("net", "million parameters", "multiply-adds"), rows)


if __name__ == "__main__":
    main()
