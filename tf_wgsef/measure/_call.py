"""One command as a child process: an argument list, bounded output, a deadline."""

import collections
import contextlib
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence

from tf_wgsef.errors import MeasurementError

# A round of the fastest file there is (1 us per run) over ten seconds is 10**7 numbers of 5 characters.
_LONGEST_LINE = 1 << 26
_MOST_OUTPUT = 1 << 29
_COMPLAINT_LINES = 20
_COMPLAINT_WIDTH = 2000


class Call:
    """A running command; what it prints is read line by line.

    Args:
        command: the argument list.
        content: what it reads on its standard input: bytes, or pieces that are made as it reads them.
        hold: whether its standard input stays open until ``close``: the other side sees by its end that
            nobody listens any more.
        seconds: after so many it is ended.

    Example:
        ``with Call(["ssh", "board", "uname"], seconds=10) as call: print(list(call.lines()))``
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        content: bytes | Iterable[bytes] = b"",
        hold: bool = False,
        seconds: float,
    ):
        # A session of its own: Ctrl-C ends our loop, which then cleans up over this connection.
        self._process = subprocess.Popen(  # noqa: S603
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._complaint = collections.deque(maxlen=_COMPLAINT_LINES)
        self._late = False
        self._threads = [
            threading.Thread(target=self._feed, args=(content, hold), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]
        self._timer = threading.Timer(seconds, self._give_up)
        self._timer.daemon = True
        for thread in (*self._threads, self._timer):
            thread.start()

    def lines(self) -> Iterator[str]:
        """Yields what the command prints on standard output, a line at a time.

        Raises:
            MeasurementError: if it prints more than any measurement.
        """
        total = 0
        while line := self._process.stdout.readline(_LONGEST_LINE):
            total += len(line)
            if len(line) == _LONGEST_LINE or total > _MOST_OUTPUT:
                raise MeasurementError(
                    f"Expected a device that prints results. Received: a line of {len(line)} bytes, "
                    f"{total} in all, and more. Check what its login shell prints."
                )
            if line.endswith(b"\n"):  # else the connection was cut in the middle of it
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def finish(self) -> tuple[int, str]:
        """Waits for the end; returns the exit status (124: ended for time) and what it complained."""
        status = self._process.wait()
        self._timer.cancel()
        # Its last words may still be on the way. A child of it may hold the pipe, so not for ever.
        self._threads[1].join(timeout=2)
        return (124 if self._late else status), "\n".join(self._complaint)

    @property
    def running(self) -> bool:
        """Whether the command has not ended yet."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the command if it still runs."""
        self._timer.cancel()
        if self._threads[0].is_alive():  # it would hold the pipe while we close it
            self._process.kill()
            self._threads[0].join()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        # The end of its input is enough for most; ssh, as a guest of a shared connection, ignores SIGTERM.
        for end, seconds in ((None, 0.2), (self._process.terminate, 1), (self._process.kill, None)):
            if end:
                end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=seconds)
                break
        self._threads[1].join(timeout=2)
        self._process.stdout.close()

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, *_):
        self.close()

    def _feed(self, content, hold):
        # OSError: it ended before it read all, its status says why; ValueError: closed meanwhile.
        with contextlib.suppress(OSError, ValueError):
            for piece in (content,) if isinstance(content, bytes) else content:
                self._process.stdin.write(piece)
            self._process.stdin.flush()
            if not hold:
                self._process.stdin.close()

    def _listen(self):
        with self._process.stderr as stream, contextlib.suppress(ValueError):
            while line := stream.readline(_COMPLAINT_WIDTH):
                if line.strip():
                    self._complaint.append(line.decode("utf-8", "replace").rstrip())

    def _give_up(self):
        self._late = True
        self._process.kill()
