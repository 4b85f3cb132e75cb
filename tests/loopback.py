"""Worker processes on this machine that act as several machines."""

import json
import os
import socket
import subprocess
import sys
import tempfile

from processes import environment


def free_ports(count):
    """Return different ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]  # all open, so the ports differ
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start_workers(arguments, count=2, more=None, chief=False):
    """Start `python *arguments` once per worker, each with its TF_CONFIG.

    Args:
        arguments: The arguments that all workers get.
        count: The number of workers.
        more: List of further arguments, one list per worker.
        chief: Whether the first one is the cluster's chief, not its first worker.
    """
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    cluster = {"worker": addresses}
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    if chief:
        cluster = {"chief": addresses[:1], "worker": addresses[1:]}
        tasks = [{"type": "chief", "index": 0}, *tasks[:-1]]
    processes = []
    for index, task in enumerate(tasks):
        config = {"cluster": cluster, "task": task}
        variables = {"TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "1"}
        # A pipe that nobody reads yet fills up, and blocks its worker and the others.
        printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it outlives this call)
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments), *(more[index] if more else [])],
            env=environment(variables),
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        process.stdout = printed
        processes.append(process)
    return processes


def outputs(processes, timeout=180):
    """Return what each worker printed; kill the ones still running after `timeout`."""
    try:
        for process in processes:
            process.wait(timeout)
    finally:
        for process in processes:
            process.kill()
    return [printed_so_far(process) for process in processes]


def printed_so_far(process):
    """Return what a worker has printed so far."""
    # By position: the worker writes through the same open file.
    return os.pread(process.stdout.fileno(), 1 << 24, 0).decode()
