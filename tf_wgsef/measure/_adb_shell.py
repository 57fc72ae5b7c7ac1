"""A phone over Google's ``adb`` client."""

import re
import shutil
import tempfile

from tf_wgsef.errors import InputError, MeasurementError

from ._call import Call
from ._shell import ConnectionLostError, Shell
from ._text import one_line

_TARGET = re.compile(r"adb(?::(?P<serial>[a-z0-9][a-z0-9._:-]{0,127}))?", re.ASCII | re.IGNORECASE)
_DEVICE = re.compile(r"(\w[\w.:-]{0,127})\t([a-z][a-z ]{1,30})\b.*", re.ASCII)
_STATES = {
    "unauthorized": "it has not allowed this computer. Unlock it and accept the question on its screen",
    "offline": "it is offline. Connect it again, or restart it",
    "no permissions": "this user may not use it. Check the udev rules; `adb devices -l` says more",
}
_SECONDS = 600


def parse_adb(target: str) -> str:
    """Returns the serial number in ``adb:serial``; "" for plain ``adb``.

    Raises:
        InputError: if ``target`` has another form.

    Example:
        >>> parse_adb("adb:emulator-5554")
        'emulator-5554'
    """
    found = _TARGET.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        raise InputError(f"Expected a phone as adb or adb:serial. Received: target={target!r}.")
    return found["serial"] or ""


class AdbShell(Shell):
    """The shell of an Android device.

    Args:
        serial: its serial number; "" if only one is attached.

    Raises:
        ConnectionLostError: if there is no such device, or it cannot be used.
        MeasurementError: if there is no adb here, or several devices are attached and none is named.

    Example:
        ``with AdbShell("emulator-5554") as shell: shell.run(["getprop"], to="answer")``
    """

    base = "/data/local/tmp"

    def __init__(self, serial: str = ""):
        super().__init__(f"adb:{serial}" if serial else "adb")
        self._adb = shutil.which("adb")
        if self._adb is None:
            raise MeasurementError(
                "Expected an adb client on this machine. Received: no `adb` in PATH. Install Android's "
                "platform tools (Debian: apt install adb)."
            )
        self._serial = self._choose(serial)
        self.label = f"adb:{self._serial}"

    def command(self, remote):  # noqa: D102 - as in Shell
        return [self._adb, "-s", self._serial, "shell", remote]

    def lost(self, status, complaint):  # noqa: D102 - as in Shell
        # adb's own failures begin so; a shell of an old Android reports no status, so 0 is asked as well.
        own = [
            line
            for line in complaint.splitlines()
            if line.startswith(("error:", "adb: error:", "adb: device"))
        ]
        if own and ": remote " in own[-1]:
            return ""  # the phone itself refused
        if own:
            return f"{one_line(own[-1])}. Check the cable and `adb devices`, then measure again."
        if status == 0 or not complaint:
            state = self._devices().get(self._serial, "")
            if state != "device":
                return f"it is {state or 'gone'}. Check the cable and `adb devices`, then measure again."
        return ""

    def push(self, content, path):  # noqa: D102 - as in Shell
        with tempfile.TemporaryDirectory() as folder:
            local = f"{folder}/file"
            with open(local, "wb") as file:  # noqa: PTH123
                file.write(content)
            status, text = self._run(["-s", self._serial, "push", local, path])
        if status:
            # Its own reason, not the count of files behind it.
            text = next((line for line in text.splitlines() if line.startswith("adb: error:")), text)
            raise self.error(status, text, f"take a file of {len(content)} bytes")

    def _choose(self, serial):
        """The serial number to use; a clear line where there is none, or a choice."""
        devices = self._devices()
        usable = sorted(name for name, state in devices.items() if state == "device")
        if serial and serial not in devices:
            there = f"the devices {', '.join(sorted(devices))}" if devices else "no device at all"
            raise ConnectionLostError(
                f"Expected a device with serial {serial}. Received: {there}. See `adb devices`."
            )
        if not serial and len(usable) > 1:
            names = ", ".join(f"adb:{name}" for name in usable)
            raise MeasurementError(
                f"Expected one device, or a target that names one. Received: {len(usable)} devices. Pass one "
                f"of {names}."
            )
        if not devices:
            raise ConnectionLostError(
                "Expected a device. Received: none attached. Connect it, switch on USB debugging, and see "
                "`adb devices`."
            )
        chosen = serial or (usable[0] if usable else sorted(devices)[0])
        state = devices[chosen]
        if state != "device":
            reason = next(
                (text for sign, text in _STATES.items() if state.startswith(sign)), f"it is {state}"
            )
            raise ConnectionLostError(f"Expected adb:{chosen} to answer. Received: {reason}.")
        return chosen

    def _devices(self):
        """State by serial number of what is attached."""
        status, text = self._run(["devices"])
        if status:
            raise MeasurementError(
                f"Expected `adb devices` to work. Received: status {status} ({one_line(text[-200:])}). Try "
                f"`adb kill-server`."
            )
        found = (_DEVICE.fullmatch(line) for line in text.splitlines())
        return {one[1]: one[2] for one in found if one}

    def _run(self, arguments):
        """Status and output of adb itself."""
        with Call([self._adb, *arguments], seconds=_SECONDS) as call:
            text = "\n".join(call.lines())
            status, complaint = call.finish()
        return status, "\n".join(part for part in (text, complaint) if part)
