"""What Chromium does besides showing a page: its requests and its memory."""

import http.server
import os
import pathlib
import re


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A proxy that notes every request to another host, and refuses it."""

    requests: list[str] = []

    def do_GET(self):
        self.requests.append(self.path)
        self.send_error(403)

    do_CONNECT = do_HEAD = do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments):
        pass


def from_pages():
    """Return the noted requests, without those of Chromium's own services."""
    return [
        request
        for request in Elsewhere.requests
        if not re.match(
            r"(http://)?[\w.-]*\b(google|googleapis|gstatic|gvt1)\.com\b", request
        )
    ]


def descendants(parent):
    """Return the status of all processes that a process has started."""
    by_parent = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            lines = path.read_text().splitlines()
        except OSError:  # it has ended
            continue
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        by_parent.setdefault(int(status["PPid"]), []).append(status)
    found, open_parents = [], [parent]
    while open_parents:
        children = by_parent.get(open_parents.pop(), [])
        found += children
        open_parents += [int(child["Pid"]) for child in children]
    return found


def peak_memory():
    """Return the peak memory of Chromium in bytes, an upper bound.

    It is the sum of the peaks of all its processes. The pages of its program files,
    which they share, count once.
    """
    processes = [
        {key: int(status[key].split()[0]) for key in ("VmHWM", "RssFile")}
        for status in descendants(os.getpid())
        if status["Name"].startswith("chrom") and "VmHWM" in status
    ]
    private = sum(process["VmHWM"] - process["RssFile"] for process in processes)
    return 1024 * (private + max(process["RssFile"] for process in processes))
