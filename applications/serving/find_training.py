"""Lets the programs here import the modules of training/, whose errors they share."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "training"))

import errors  # noqa: F401 (for the programs here)
