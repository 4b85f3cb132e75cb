"""The paper's claims, measured: one program for each."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
