"""Builds the wheel, installs it into a clean environment and uses it there.

    python tests/check_wheel.py

Not a test of the suite: it installs TensorFlow anew, which takes a minute or two.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
USE = """
import keras_prelu
from keras_prelu.applications import ModelC

model = ModelC(width=1 / 64, classes=3)
assert "site-packages" in keras_prelu.__file__, keras_prelu.__file__
print(f"keras_prelu {keras_prelu.__version__}: {model.count_params()} parameters")
"""


def run(*command, **options):
    """Run a command and stop if it fails."""
    subprocess.run([str(part) for part in command], check=True, **options)


def check_contents(wheel):
    """Stop unless the wheel holds the package, its `py.typed` and its data only."""
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if packages != {"keras_prelu"}:
        sys.exit(f"The wheel ships the packages {sorted(packages)}.")
    data = ("py.typed", "applications/weights.json", "applications/shapes.weights.h5")
    for needed in (f"keras_prelu/{name}" for name in data):
        if needed not in names:
            sys.exit(f"The wheel lacks {needed}.")


def main():
    """Build, install and use the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
        wheel = next(folder.glob("*.whl"))
        check_contents(wheel)
        run(sys.executable, "-m", "venv", folder / "venv")
        python = folder / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", wheel)
        run(python, "-c", USE, cwd=folder)


if __name__ == "__main__":
    main()
