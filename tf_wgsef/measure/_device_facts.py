"""What a device without our Python says about itself."""

import re

from ._machine import Machine, looks_emulated, parse_cpu
from ._reading import READ_FILES, Reading
from ._shell import Shell
from ._text import one_line

_ASK = """fact() { printf 'tf_wgsef fact %s %s\\n' "$1" "$2"; }
fact architecture "$(uname -m)"
fact os "$(uname -s -r)"
fact cores "$(nproc 2>/dev/null)"
fact governor "$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
fact phone "$(getprop ro.product.model 2>/dev/null)"
fact chip "$(getprop ro.soc.model 2>/dev/null)"
fact android "$(getprop ro.build.version.release 2>/dev/null)"
fact qemu "$(getprop ro.kernel.qemu 2>/dev/null)$(getprop ro.boot.qemu 2>/dev/null)"
fact board "$(tr -d '\\0' </proc/device-tree/model 2>/dev/null)"
printf 'tf_wgsef cpuinfo\\n'
cat /proc/cpuinfo
exit 0"""
_FACT = re.compile(r"tf_wgsef fact (\w{1,20}) (.{0,200})")


_SHOW = f"""for file in {" ".join(READ_FILES)}; do
if [ -r "$file" ]; then printf 'tf_wgsef file %s %s\\n' "$file" "$(cat "$file" 2>/dev/null)"; fi; done
exit 0"""
_SHOWN = re.compile(r"tf_wgsef file (/sys/\S{1,120}) (.{1,60})")


def take_reading(shell: Shell, cores: tuple[int, ...] = ()) -> Reading:
    """Returns what the device behind ``shell`` shows of its heat and clock.

    Args:
        shell: the device.
        cores: those that the measuring program may use; empty if that is unknown.

    Raises:
        MeasurementError: if it cannot be asked.
    """
    text = shell.run(["sh", "-c", _SHOW], to="tell its heat")
    found = (_SHOWN.fullmatch(line) for line in text.splitlines())
    return Reading.from_files({one[1]: one[2] for one in found if one}, cores)


def read_machine(shell: Shell) -> Machine:
    """Returns the machine behind ``shell``.

    Args:
        shell: the device.

    Raises:
        MeasurementError: if it cannot be asked.
    """
    text = shell.run(["sh", "-c", _ASK], to="tell what it is")
    head, _, cpuinfo = text.partition("\ntf_wgsef cpuinfo\n")
    found = (_FACT.fullmatch(line) for line in head.splitlines())
    facts = {one[1]: one_line(one[2]) for one in found if one}
    named = [facts.get("phone"), facts.get("chip")]
    cpu = ", ".join(one for one in named if one) or facts.get("board") or one_line(parse_cpu(cpuinfo))
    android = facts.get("android")
    architecture = facts.get("architecture") or "unknown"
    cores = facts.get("cores", "")
    return Machine(
        cpu=cpu or "unknown",
        architecture=architecture,
        os=" ".join(part for part in (android and f"Android {android},", facts.get("os")) if part)
        or "unknown",
        cores=int(cores) if re.fullmatch(r"\d{1,4}", cores, re.ASCII) and int(cores) else 1,
        governor=facts.get("governor") or "unknown",
        # Android's emulator says so; a program under qemu-user on a PC is seen by the PC's processor.
        emulated="1" in facts.get("qemu", "") or looks_emulated(architecture, "", cpuinfo),
    )
