"""The folders of an experiment."""

import pytest

from training.experiments.experiment import SMALL, Experiment


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "results").mkdir()
    return Experiment(tmp_path / "results", tmp_path / "work", SMALL)
