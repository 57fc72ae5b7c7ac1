"""A board over the OpenSSH client: whom to call is checked, how to log in is what the user has set up."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import tempfile
import time

from tf_wgsef.errors import InputError, MeasurementError

from ._call import Call
from ._shell import Shell
from ._text import one_line

_FORM = "ssh://user@host, ssh://host or ssh://user@host:port"
_TARGET = re.compile(
    r"ssh://(?:(?P<user>[a-z0-9_][a-z0-9._-]{0,63})@)?"
    r"(?:(?P<host>[a-z0-9_][a-z0-9._-]{0,252})|\[(?P<ip>[0-9a-f:.]{2,45}(?:%[a-z0-9._-]{1,32})?)\])"
    r"(?::(?P<port>\d{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
# Nothing may ask (no password, no new host key), reach back from the board, or take our output for
# something else. Keys, agent, known hosts and proxies are the user's own settings.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "10",
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}
_FAILED = 255
_LOGIN_SECONDS = 60  # a key may wait for a finger on it
_LONGEST_SOCKET = 80  # of the 104 to 108 bytes that systems allow; ssh adds 17 while it makes one
# What ssh says, and what that means to a user, the most telling first.
_REASONS = (
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known. If you have set the board up anew, remove the old key "
        "with `ssh-keygen -R`; otherwise something else may answer in its place",
    ),
    (
        "Host key verification failed",
        "its host key is not known yet. Connect once by hand with ssh and accept it",
    ),
    ("Permission denied", "it does not accept your key. Check that `ssh` reaches it without a password"),
    ("Too many authentication failures", "it refuses after too many keys. Set IdentityFile in ~/.ssh/config"),
    ("Could not resolve hostname", "there is no host of this name. Check its spelling and your network"),
    ("Connection refused", "nothing answers at this port. Check that sshd runs there, and the port"),
    ("timed out", "it does not answer. Check that it is on and on this network"),
    ("No route to host", "no network leads there. Check that it is on and on this network"),
)
# How ssh's other lines begin; the rest is what the program on the board complained of.
_OWN_WORDS = ("ssh:", "kex_", "client_loop:", "mux_client_", "Connection ", "Shared connection ", "Timeout,")


@dataclasses.dataclass(frozen=True)
class SSHAddress:
    """Whom to call.

    Attributes:
        host: a name, an address, or an alias of the user's ssh configuration.
        user: who logs in; "" for what the configuration says.
        port: likewise, as digits.
    """

    host: str
    user: str = ""
    port: str = ""

    @classmethod
    def parse(cls, target: str) -> "SSHAddress":
        """Returns the parts of ``ssh://user@host:port``.

        Raises:
            InputError: if ``target`` has another form.

        Example:
            >>> SSHAddress.parse("ssh://pi@board:2222").host
            'board'
        """
        found = _TARGET.fullmatch(target) if isinstance(target, str) else None
        if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
            raise InputError(f"Expected a board as {_FORM}. Received: target={target!r}.")
        return cls(found["host"] or found["ip"], found["user"] or "", found["port"] or "")

    def __str__(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user and self.user + '@'}{host}{self.port and ':' + self.port}"


class SSHShell(Shell):
    """A board's shell over one shared connection, as far as the client here can share one.

    Args:
        address: whom to call.
        config: a file for ``ssh -F``; None for the user's own configuration.

    Raises:
        ConnectionLostError: if the board cannot be reached.
        MeasurementError: if there is no ssh here.

    Example:
        ``with SSHShell(SSHAddress.parse("ssh://pi@board")) as shell: shell.run(["uname"], to="answer")``
    """

    def __init__(self, address: SSHAddress, config: pathlib.Path | None = None):
        super().__init__(str(address))
        program = shutil.which("ssh")
        if program is None:
            raise MeasurementError(
                "Expected an ssh client on this machine. Received: no `ssh` in PATH. Install OpenSSH "
                "(Debian: apt install openssh-client)."
            )
        self._ssh = [program, *(["-F", str(config)] if config else [])]
        for name, value in _OPTIONS.items():
            self._ssh += ["-o", f"{name}={value}"]
        if address.user:
            self._ssh += ["-l", address.user]
        if address.port:
            self._ssh += ["-p", address.port]
        self._host = address.host
        self._folder = tempfile.mkdtemp(prefix="tfw")
        self._socket = os.path.join(self._folder, "s")  # noqa: PTH118
        self._master = None
        try:
            self._share_connection()
        except BaseException:
            self.close()
            raise

    def command(self, remote):  # noqa: D102 - as in Shell
        control = self._socket if self._master else "none"
        return [
            *self._ssh,
            "-o",
            f"ControlPath={control}",
            "-o",
            "ControlMaster=no",
            "--",
            self._host,
            remote,
        ]

    def lost(self, status, complaint):  # noqa: D102 - as in Shell
        if status != _FAILED:
            return ""
        for sign, reason in _REASONS:
            if sign in complaint:
                return f"{reason}."
        own = [line for line in complaint.splitlines() if line.startswith(_OWN_WORDS)]
        said = f" ({one_line(own[-1]).rstrip('.')})" if own else ""
        return f"it was lost{said}. Check the board and the network, then measure again."

    def push(self, content, path):  # noqa: D102 - as in Shell
        self.run(
            ["sh", "-c", 'umask 077; cat > "$1"', "sh", path],
            to=f"take a file of {len(content)} bytes",
            content=content,
        )

    def close(self):  # noqa: D102 - as in Shell
        if self._master:
            self._master.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _share_connection(self):
        """Opens the connection that later commands go through, and says clearly why there is none."""
        if os.name == "nt" or len(self._socket) > _LONGEST_SOCKET:
            return  # each command then logs in by itself
        options = [
            "-N",
            "-o",
            f"ControlPath={self._socket}",
            "-o",
            "ControlMaster=yes",
            "-o",
            "ControlPersist=no",
        ]
        # It ends with close; a day is a bound for what nobody closes.
        master = Call([*self._ssh, *options, "--", self._host], hold=True, seconds=86_400)
        self._master = master
        end = time.monotonic() + _LOGIN_SECONDS
        while not os.path.exists(self._socket):  # noqa: PTH110
            if time.monotonic() > end:  # a login that hangs, or a folder that takes no sockets
                self._master = None
                master.close()
                return
            if not master.running:
                self._master = None
                status, complaint = master.finish()
                master.close()
                raise self.error(status, complaint, "take a connection")
            time.sleep(0.01)


def check_config(config: str | os.PathLike | None) -> pathlib.Path | None:
    """Returns the absolute path of an ssh configuration file.

    Args:
        config: the file; None for the user's own configuration.

    Raises:
        InputError: if there is no such file.
    """
    if config is None:
        return None
    with contextlib.suppress(TypeError, ValueError, OSError):
        path = pathlib.Path(config)
        if path.is_file():
            return path.absolute()
    raise InputError(
        f"Expected `ssh_config` as an ssh configuration file. Received: ssh_config={config!r}, which is no "
        f"file. Pass a path, or nothing for ~/.ssh/config."
    )
