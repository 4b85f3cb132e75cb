"""The uninterrupted run that others are compared with."""

import pytest
from small_run import bits, run


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    model, _ = run(workdir)
    return bits(model, workdir)
