"""What a latency depends on besides the file: the machine it was measured on."""

import dataclasses
import os
import pathlib
import platform

_CPUINFO = pathlib.Path("/proc/cpuinfo")
# Another way to the same file: an emulator that replaces the usual path rarely replaces this one.
_CPUINFO_BEHIND = pathlib.Path("/proc/self/../cpuinfo")
_COMM = pathlib.Path("/proc/self/comm")
_BOARD = pathlib.Path("/proc/device-tree/model")
_GOVERNOR = pathlib.Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# x86 says "model name"; ARM boards say "Model" (of the board) or "Hardware" at the end of the file.
_CPU_KEYS = ("model name", "model", "hardware")


@dataclasses.dataclass(frozen=True)
class Machine:
    """The machine of a measurement.

    Attributes:
        cpu: its processor's or board's name, or "unknown".
        architecture: such as "x86_64" or "aarch64".
        os: the operating system and its release.
        cores: cores that this process may use.
        governor: the frequency governor of the first core, or "unknown".
        emulated: whether its processor is seen to be emulated: its latency says nothing about hardware.
    """

    cpu: str = "unknown"
    architecture: str = "unknown"
    os: str = "unknown"
    cores: int = 1
    governor: str = "unknown"
    emulated: bool = False

    @classmethod
    def local(cls) -> "Machine":
        """Returns this machine.

        Example:
            ``Machine.local().cpu``
        """
        allowed = getattr(os, "sched_getaffinity", None)
        return cls(
            cpu=parse_cpu(_read(_CPUINFO))
            or _read(_BOARD).strip("\0\n")
            or platform.processor()
            or "unknown",
            architecture=platform.machine() or "unknown",
            os=platform.platform(),
            cores=len(allowed(0)) if allowed else os.cpu_count() or 1,
            governor=_read(_GOVERNOR).strip() or "unknown",
            emulated=looks_emulated(platform.machine(), _read(_COMM), _read(_CPUINFO_BEHIND)),
        )


def parse_cpu(cpuinfo: str) -> str:
    """Returns the processor's name in the text of ``/proc/cpuinfo``, or "".

    Args:
        cpuinfo: the text.

    Example:
        ``parse_cpu("model name : AMD EPYC")`` is ``"AMD EPYC"``.
    """
    values = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon and value.strip():
            values.setdefault(key.strip().lower(), value.strip())
    # On x86 "model" is a bare number, and "model name" comes first here.
    return next((values[key] for key in _CPU_KEYS if key in values), "")


def looks_emulated(architecture: str, comm: str, cpuinfo: str) -> bool:
    """Returns whether qemu-user runs this process: the kernel names it qemu, or has another processor.

    It finds what shows itself. False is no proof of real hardware: a whole emulated machine looks real.

    Args:
        architecture: what the process takes its machine for.
        comm: the text of ``/proc/self/comm``, the kernel's name of the process.
        cpuinfo: the text of ``/proc/cpuinfo`` as the kernel wrote it.

    Example:
        >>> looks_emulated("aarch64", "python3", "vendor_id : GenuineIntel")
        True
    """
    other = "vendor_id" in cpuinfo and architecture.startswith(("arm", "aarch64", "riscv"))
    return comm.startswith("qemu-") or other


def _read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
