"""Makes the siblings of this folder importable: `training/` and `benchmarks/`."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.extend(str(ROOT / folder) for folder in ("training", "benchmarks"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
