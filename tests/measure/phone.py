"""A phone for tests: what an Android device says to a real ``adb``, with a shell that stays in one folder.

The protocol is that of Android's source (packages/modules/adb, protocol.txt and SYNC.TXT): messages of 24
bytes and a payload; streams that are opened by name; every WRTE is answered by an OKAY.
"""

import asyncio
import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from .boards import put_program

BASE = "/data/local/tmp"
_PROGRAMS = ("sh", "mktemp", "cat", "rm", "chmod", "uname", "nproc", "tr", "timeout", "sleep", "wc", "env")
_HEADER = struct.Struct("<4s5I")


class Phone:
    """A device-side daemon on loopback.

    Args:
        folder: what it takes for its disk.
        shell_v2: whether it tells exit statuses, as Androids since 7 do.
    """

    def __init__(self, folder, *, shell_v2=True):
        self.disk, self.bin = folder / "tmp", folder / "bin"
        for one in (self.disk, self.bin):
            one.mkdir(parents=True)
        for name in _PROGRAMS:
            (self.bin / name).symlink_to(shutil.which(name))
        self.program(
            "getprop",
            'case $1 in ro.product.model) echo "Toy Phone";; ro.build.version.release) echo 14;; esac',
        )
        self.features = "shell_v2,cmd" if shell_v2 else "cmd"
        self.full_after = None
        self.cut_after = None
        self.commands = []
        self._loop = asyncio.new_event_loop()
        self._links = set()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        self.serial = f"127.0.0.1:{self.port}"

    def program(self, name, script):
        put_program(self.bin / name, script)

    def left(self):
        return [path.name for path in self.disk.iterdir()]

    def unplug(self):
        """Closes every connection, and takes no more."""
        self._loop.call_soon_threadsafe(self._unplug)

    def close(self):
        self.unplug()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _unplug(self):
        self._server.close()
        for link in self._links:
            link.writer.transport.abort()

    def _serve(self, ready):
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    async def _talk(self, reader, writer):
        link = _Link(self, reader, writer)
        self._links.add(link)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await link.run()
        self._links.discard(link)
        writer.close()

    def count(self, length):
        """Counts bytes that were pushed; says whether the disk is full by now."""
        if self.cut_after is not None:
            self.cut_after -= length
            if self.cut_after < 0:
                self._unplug()
        if self.full_after is not None:
            self.full_after -= length
        return self.full_after is not None and self.full_after < 0

    def here(self, path):
        """Where a path of the phone lies on this machine; None if it may not be written."""
        inside = pathlib.PurePosixPath(path)
        if not path.startswith(f"{BASE}/") or ".." in inside.parts:
            return None
        return self.disk / inside.relative_to(BASE)


class _Link:
    """One connection of an adb server."""

    def __init__(self, phone, reader, writer):
        self.phone, self.reader, self.writer = phone, reader, writer
        self.streams = {}

    async def run(self):
        while True:
            name, first, second, length, _, _ = _HEADER.unpack(await self.reader.readexactly(_HEADER.size))
            payload = await self.reader.readexactly(length)
            if name == b"CNXN":
                banner = f"device::ro.product.name=toy;ro.product.model=Toy;features={self.phone.features}"
                self.send(b"CNXN", 0x01000001, 1 << 18, banner.encode())
            elif name == b"OPEN":
                stream = self.streams[first] = _Stream(self, first)
                asyncio.ensure_future(stream.serve(payload.rstrip(b"\0").decode()))
            elif name == b"WRTE" and first in self.streams:
                self.streams[first].input.feed_data(payload)
                self.send(b"OKAY", first, first)
            elif name == b"OKAY" and first in self.streams:
                self.streams[first].free.set()
            elif name == b"CLSE" and first in self.streams:
                self.streams.pop(first).end()

    def send(self, name, first, second, payload=b""):
        magic = struct.unpack("<I", name)[0] ^ 0xFFFFFFFF
        self.writer.write(
            _HEADER.pack(name, first, second, len(payload), sum(payload) & 0xFFFFFFFF, magic) + payload
        )


class _Stream:
    """One service; its number here is the one that the other side gave it."""

    def __init__(self, link, number):
        self.link, self.number = link, number
        self.input, self.free, self.process = asyncio.StreamReader(limit=1 << 24), asyncio.Event(), None

    def end(self):
        self.input.feed_eof()
        self.free.set()
        if self.process and self.process.returncode is None:
            self.process.kill()

    async def serve(self, service):
        self.link.send(b"OKAY", self.number, self.number)
        kind, _, rest = service.partition(":")
        if kind == "sync":
            with contextlib.suppress(asyncio.IncompleteReadError):
                await self._sync()
        elif kind.split(",")[0] == "shell":
            await self._shell(rest, v2="v2" in kind.split(","))
        if self.link.streams.pop(self.number, None):
            self.link.send(b"CLSE", self.number, self.number)

    async def write(self, data):
        for start in range(0, len(data), 1 << 16):
            self.free.clear()
            self.link.send(b"WRTE", self.number, self.number, data[start : start + (1 << 16)])
            await self.free.wait()

    async def _shell(self, command, *, v2):
        phone = self.link.phone
        phone.commands.append(command)
        self.process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command.replace(BASE, str(phone.disk)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if v2 else asyncio.subprocess.STDOUT,
            cwd=phone.disk,
            env={"PATH": str(phone.bin)},
        )
        streams = [(1, self.process.stdout), (2, self.process.stderr)] if v2 else [(1, self.process.stdout)]
        await asyncio.gather(*(self._copy(number, source, v2) for number, source in streams))
        status = await self.process.wait()
        if v2:
            await self.write(struct.pack("<BIB", 3, 1, status & 0xFF))

    async def _copy(self, number, source, v2):
        while line := await source.readline():
            line = line.replace(str(self.link.phone.disk).encode(), BASE.encode())
            await self.write(struct.pack("<BI", number, len(line)) + line if v2 else line)

    async def _sync(self):
        phone = self.link.phone
        while True:
            name, length = struct.unpack("<4sI", await self.input.readexactly(8))
            if name == b"QUIT":
                return
            text = (await self.input.readexactly(length)).decode()
            if name == b"STAT":
                path = phone.here(text)
                there = path is not None and path.exists()
                values = (path.stat().st_mode, path.stat().st_size, 0) if there else (0, 0, 0)
                await self.write(b"STAT" + struct.pack("<3I", *values))
            elif name == b"SEND":
                await self._receive(phone.here(text.rpartition(",")[0]))

    async def _receive(self, path):
        phone, content, full = self.link.phone, bytearray(), False
        while True:
            name, length = struct.unpack("<4sI", await self.input.readexactly(8))
            if name == b"DONE":
                break
            content += await self.input.readexactly(length)
            full = phone.count(length) or full
        problem = b"No space left on device" if full else b"Permission denied" if path is None else b""
        if problem:
            await self.write(b"FAIL" + struct.pack("<I", len(problem)) + problem)
            return
        path.write_bytes(content)
        await self.write(b"OKAY" + struct.pack("<I", 0))


@contextlib.contextmanager
def adb_server(folder):
    """Gives a function that attaches phones to an adb server of our own on loopback."""
    if not shutil.which("adb"):
        pytest.skip("no adb here: apt install adb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    before = os.environ.get("ANDROID_ADB_SERVER_PORT")
    os.environ["ANDROID_ADB_SERVER_PORT"] = port
    command = ["adb", "-L", f"tcp:localhost:{port}", "nodaemon", "server"]
    with (folder / "adb.log").open("w") as log:
        environment = os.environ | {"HOME": str(folder)}  # its keys lie there
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
    try:
        yield attach
    finally:
        server.kill()
        server.wait()
        del os.environ["ANDROID_ADB_SERVER_PORT"]
        if before is not None:
            os.environ["ANDROID_ADB_SERVER_PORT"] = before


def attach(phone):
    """Connects ``phone`` and waits until adb says that it is there."""
    for _ in range(200):
        subprocess.run(["adb", "connect", phone.serial], capture_output=True, timeout=20)
        ask = subprocess.run(
            ["adb", "-s", phone.serial, "get-state"], capture_output=True, text=True, timeout=20
        )
        if ask.stdout.strip() == "device":
            return
        time.sleep(0.05)
    raise RuntimeError(f"adb does not see the phone: {ask.stdout}{ask.stderr}")


def detach(phone):
    subprocess.run(["adb", "disconnect", phone.serial], capture_output=True, timeout=20)
