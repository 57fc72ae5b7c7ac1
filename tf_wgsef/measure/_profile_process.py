"""LiteRT's own profiler, in a process of its own: ``libLiteRt``, of the same wheel, through its C interface.

The interface (litert/c/*.h) is public, and has changed between versions: a call that does not fit may end
the process, so nothing else is in it. Standard input holds a line of JSON, {"threads": 1, "bytes": 1234},
and the file; at its end the process ends. It prints a line of JSON for each batch of runs,
{"runs": 20, "summary": "..."}, or {"error": "..."}.
"""

import ctypes
import importlib.util
import json
import math
import os
import pathlib
import sys
import threading
import time

BATCHES = 15
_BATCH_SECONDS, _MOST_RUNS = 0.01, 200
_MOST_SECONDS = 10
_CPU = 1
# A tensor's type: the kind of its elements, its rank (in 7 bits), up to 8 sizes, then strides.
_TYPE_NUMBERS = 128
_RANK, _SIZES, _MOST_SIZES = 1, 2, 8


class _Library:
    """The functions of ``libLiteRt``; one that fails, or is missing, ends the profile."""

    def __init__(self):
        found = importlib.util.find_spec("ai_edge_litert")
        if found is None:
            raise _ProfileError("ai_edge_litert is not installed, and only its library profiles")
        paths = [pathlib.Path(one) / "libLiteRt.so" for one in found.submodule_search_locations]
        path = next((one for one in paths if one.is_file()), None)
        if path is None:
            raise _ProfileError("there is no libLiteRt.so beside it")
        self._library = ctypes.CDLL(str(path))

    def __call__(self, name: str, *arguments) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise _ProfileError(f"this version has no {name}")
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise _ProfileError(f"{name} failed ({status})")

    def handle(self, name: str, *arguments) -> ctypes.c_void_p:
        """What a function makes: the last argument is where it writes it."""
        made = ctypes.c_void_p()
        self(name, *arguments, ctypes.byref(made))
        return made


class _ProfileError(Exception):
    pass


class _Model:
    """A file, compiled for the processor with the profiler inside."""

    def __init__(self, call: _Library, content: bytes, threads: int):
        self._call, self._content = call, content
        self._environment = call.handle("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        size = ctypes.c_size_t(len(content))
        model = call.handle("LiteRtCreateModelFromBuffer", self._environment, content, size)
        options = call.handle("LiteRtCreateOptions")
        call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._add(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add(options, b"xnnpack", b"num_threads = %d\n" % threads)
        self.compiled = call.handle("LiteRtCreateCompiledModel", self._environment, model, options)
        self._signature = call.handle("LiteRtGetModelSignature", model, ctypes.c_size_t(0))
        self.profiler = call.handle("LiteRtCompiledModelGetProfiler", self.compiled)
        self._buffers = self._make_buffers("Input"), self._make_buffers("Output")

    def run(self) -> None:
        """Runs it once."""
        sides = [part for one in self._buffers for part in (ctypes.c_size_t(len(one)), one)]
        self._call("LiteRtRunCompiledModel", self.compiled, ctypes.c_size_t(0), *sides)

    def summary(self, runs: int) -> str:
        """Returns what the profiler says of so many runs."""
        for name in ("LiteRtResetProfiler", "LiteRtStartProfiler"):
            self._call(name, self.profiler)
        for _ in range(runs):
            self.run()
        self._call("LiteRtStopProfiler", self.profiler)
        text = ctypes.c_char_p()
        self._call("LiteRtGetProfileSummary", self.profiler, self.compiled, ctypes.byref(text))
        return (text.value or b"").decode("utf-8", "replace")

    def _add(self, options, identifier, text):
        system = ctypes.CDLL(None)
        system.strdup.restype = ctypes.c_void_p
        copy = ctypes.c_void_p(system.strdup(text))
        free = ctypes.cast(system.free, ctypes.c_void_p)
        made = self._call.handle("LiteRtCreateOpaqueOptions", ctypes.c_char_p(identifier), copy, free)
        self._call("LiteRtAddOpaqueOptions", options, made)

    def _make_buffers(self, side):
        call, count = self._call, ctypes.c_size_t()
        call(f"LiteRtGetNumSignature{side}s", self._signature, ctypes.byref(count))
        buffers = (ctypes.c_void_p * count.value)()
        for number in range(count.value):
            index = ctypes.c_size_t(number)
            tensor = call.handle(f"LiteRtGetSignature{side}TensorByIndex", self._signature, index)
            kind = (ctypes.c_int32 * _TYPE_NUMBERS)()
            call("LiteRtGetRankedTensorType", tensor, kind)
            self._close(kind, index, resize=side == "Input")
            name = f"LiteRtGetCompiledModel{side}BufferRequirements"
            needs = call.handle(name, self.compiled, ctypes.c_size_t(0), index)
            made = "LiteRtCreateManagedTensorBufferFromRequirements"
            buffers[number] = call.handle(made, self._environment, kind, needs)
            call("LiteRtClearTensorBuffer", ctypes.c_void_p(buffers[number]))
        return buffers

    def _close(self, kind, index, *, resize):
        """Sizes that are open, such as the batch, become 1."""
        rank = kind[_RANK] & 0x7F
        sizes = list(kind[_SIZES : _SIZES + rank])
        if rank > _MOST_SIZES or -1 not in sizes:
            return
        sizes = [max(one, 1) for one in sizes]
        kind[_SIZES : _SIZES + rank] = sizes
        if resize:
            numbers = (ctypes.c_int * rank)(*sizes)
            name = "LiteRtCompiledModelResizeInputTensor"
            self._call(name, self.compiled, ctypes.c_size_t(0), index, numbers, ctypes.c_size_t(rank))


def main() -> None:
    """Profiles what standard input holds."""
    request = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(request["bytes"])
    threading.Thread(target=_leave_at_the_end, daemon=True).start()
    try:
        model = _Model(_Library(), content, request["threads"])
        end = time.monotonic() + _MOST_SECONDS
        for _ in range(3):
            start = time.perf_counter()
            model.run()
            seconds = time.perf_counter() - start
        runs = max(1, min(_MOST_RUNS, math.ceil(_BATCH_SECONDS / seconds)))
        for batch in range(BATCHES):
            print(json.dumps({"runs": runs, "summary": model.summary(runs)}), flush=True)
            if batch and time.monotonic() > end:
                break
    except (_ProfileError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
    sys.stdout.flush()
    os._exit(0)  # not through the destructors of a library that we have handed loose ends


def _leave_at_the_end():
    while os.read(0, 1):
        pass
    os._exit(1)
