"""A training run that SIGTERM ends after a step, when its checkpoint is written."""

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["PREEMPTED", "Preempted", "TerminationRequest"]

# sysexits.h's EX_TEMPFAIL: a scheduler should start the program again later.
PREEMPTED = 75


class Preempted(SystemExit):
    """The process was asked to end by SIGTERM, and has saved. Its exit code is 75."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED)


class TerminationRequest:
    """Remembers whether SIGTERM has arrived.

    Attributes:
        has_arrived: Boolean.
    """

    def __init__(self) -> None:
        self.has_arrived = False

    @contextlib.contextmanager
    def noticed(self) -> Iterator[None]:
        """Note SIGTERM within a block, instead of ending the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python handles signals in the main thread only
            return

        def note(signal_number, frame):
            self.has_arrived = True

        previous = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)
