"""Boards for tests: an sshd on loopback, this machine's Python or an emulated ARM one, and a line to cut."""

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "board_in_a_box.py"
SHORT = {"min_runs": 16, "min_seconds": 0.08, "warmup_seconds": 0.0, "rounds": 8}


def put_program(path, script):
    """Makes ``path`` a new shell script. What was there, such as a link to a program of this machine, is not
    written to: the name gets another file.
    """
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("x") as file:
        file.write(f"#!/bin/sh\n{script}\n")
    fresh.chmod(0o755)
    fresh.replace(path)


class Board:
    """A running board in a box."""

    target = "ssh://board"

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "ssh_config"
        self.port = int(self.config.read_text().split("Port ")[1].split()[0])

    def config_with(self, path, **options):
        """Writes another client configuration, with other values of ``options``."""
        lines = [line for line in self.config.read_text().splitlines() if line.split()[0] not in options]
        lines += [f"    {name} {value}" for name, value in options.items()]
        path.write_text("\n".join(lines) + "\n")
        return path

    @contextlib.contextmanager
    def program(self, name, script):
        """Puts a shell script before the board's own program of this name."""
        path = self.folder / "bin" / name
        before = path.with_name(f".{name}.before")
        if path.exists():
            path.rename(before)
        put_program(path, script)
        try:
            yield str(path)
        finally:
            path.unlink()
            if before.exists():
                before.rename(path)

    def left(self, seconds=10):
        """What measurements left there; what removes itself gets some time."""
        end = time.monotonic() + seconds
        while (found := sorted((self.folder / "tmp").iterdir())) and time.monotonic() < end:
            time.sleep(0.05)
        return [path.name for path in found]


@contextlib.contextmanager
def board_in_a_box(folder, *options):
    """Starts a board, or skips the test where its programs are missing."""
    for program in ("ssh", "ssh-keygen", "/usr/sbin/sshd"):
        if not shutil.which(program):
            pytest.skip(f"no {program} here: apt install openssh-client openssh-server")
    command = [sys.executable, str(TOOL), str(folder), *options]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if made.returncode:
        pytest.skip(f"no board in a box: {made.stderr.strip()[-300:]}")
    try:
        yield Board(folder)
    finally:
        subprocess.run([sys.executable, str(TOOL), str(folder), "--stop"], check=True, timeout=60)


class Line:
    """A line to a port of this machine that can be cut, as if somebody pulled the plug.

    Args:
        port: where it leads.
        up: it cuts itself after so many bytes to the board.
        down: likewise from the board.
        again: whether it can be used again afterwards.
    """

    def __init__(self, port, *, up=None, down=None, again=False):
        self._to, self._left, self._again = port, {"up": up, "down": down}, again
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends what is connected now."""
        self._left = {"up": None, "down": None}
        if not self._again:
            self.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [near, far]
            for way, (source, sink) in {"up": (near, far), "down": (far, near)}.items():
                threading.Thread(target=self._carry, args=(way, source, sink), daemon=True).start()

    def _carry(self, way, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if self._left[way] is not None:
                    self._left[way] -= len(data)
                    if self._left[way] < 0:
                        self.cut()
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
