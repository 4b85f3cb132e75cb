"""Several worker processes on this machine, as if on several machines."""

import json
import os
import socket
import subprocess
import sys
import tempfile


def free_ports(count):
    """Ports that nobody listens on. All are held at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start_workers(arguments, count=2, more=None):
    """Starts `python *arguments` once per worker, each with its TF_CONFIG.

    Args:
        arguments: The command line of all of them.
        count: How many workers there are.
        more: List of further arguments for each worker.
    """
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    processes = []
    for index in range(count):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps(config),
            "TF_CPP_MIN_LOG_LEVEL": "1",
            "CUDA_VISIBLE_DEVICES": "-1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        # Not a pipe: one that nobody reads yet fills up, and its worker keeps the
        # others waiting.
        printed = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it outlives this call)
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments), *(more[index] if more else [])],
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        process.stdout = printed
        processes.append(process)
    return processes


def outputs(processes, timeout=180):
    """What each worker printed. A worker left over after `timeout` is killed."""
    try:
        for process in processes:
            process.wait(timeout)
    finally:
        for process in processes:
            process.kill()
    return [printed_so_far(process) for process in processes]


def printed_so_far(process):
    """What a worker has printed up to now."""
    # By position: the worker writes through the same open file.
    return os.pread(process.stdout.fileno(), 1 << 24, 0).decode()
