"""Ends a process that shows no sign of life for too long."""

import contextlib
import math
import threading
import time


class Watchdog:
    """Watches one process.

    Args:
        limit: seconds without a sign of life.
        end: called once, from another thread, when they are over.
    """

    def __init__(self, limit: float, end):
        self._limit, self._end = limit, end
        self._deadline, self._done = time.monotonic() + limit, threading.Event()
        self.expired = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def sign_of_life(self) -> None:
        """Starts the time anew."""
        if self._deadline != math.inf:
            self._deadline = time.monotonic() + self._limit

    @contextlib.contextmanager
    def paused(self):
        """Lets no time pass, while the process waits for us."""
        self._deadline = math.inf
        try:
            yield
        finally:
            self._deadline = time.monotonic() + self._limit

    def stop(self) -> None:
        """Ends the watch."""
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(min(0.2, self._limit / 4)):
            if time.monotonic() > self._deadline:
                self.expired = True
                self._end()
                return
