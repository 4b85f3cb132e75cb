"""training.train within the process of the tests."""

import json
import sys

import pytest
from absl import flags
from loopback import free_ports


@pytest.fixture
def command_line(monkeypatch):
    """Return a function that does what a command line of training.train does."""
    from training import train

    def run(command):
        for name in list(flags.FLAGS):
            if name.startswith("config."):  # an override of an earlier command
                delattr(flags.FLAGS, name)
        monkeypatch.setattr(sys, "argv", command)
        train.parse(command[1:])  # without `-m`
        train.main(None)

    return run


@pytest.fixture
def free_cluster(monkeypatch):
    """Set up a cluster with this process as the first of two workers."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    task = {"type": "worker", "index": 0}
    cluster = {"cluster": {"worker": addresses}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    return addresses
