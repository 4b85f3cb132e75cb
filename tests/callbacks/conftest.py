"""The uninterrupted run that others are compared with."""

import pytest
from small_run import bits, run


# For each file anew: another file's tests may turn on the deterministic operations of
# TensorFlow in this process, which round differently.
@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    model, _ = run(workdir)
    return bits(model, workdir)
