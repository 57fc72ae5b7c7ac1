"""A 64-bit ARM board in a folder, to try and to test measuring over ssh. It proves function, not speed.

    python tools/board_in_a_box.py /tmp/board           # prints the target and the ssh configuration
    tf-wgsef benchmark small.tflite --target ssh://board --ssh-config /tmp/board/ssh_config
    python tools/board_in_a_box.py /tmp/board --stop    # ends its sshd and removes the folder

The board is Debian 12's Python 3.11 for ARM and the runtime's ARM wheel under qemu-user, behind an sshd of
its own on loopback: no container, no mounts, nothing outside the folder. It needs Debian or Ubuntu with
`apt install qemu-user-static openssh-server debian-archive-keyring`. With --native the board's Python is the
one that runs this script, which takes no download.

Two things are set for reasons: QEMU_CPU, because with qemu 7.2's default processor the runtime's int8 results
are wrong without an error; and a /proc/cpuinfo of a Cortex-A72, because the runtime crashes on that of x86.
"""

import argparse
import contextlib
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

_SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} bookworm main\n"
_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = (
    "libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 libuuid1 libcrypt1 "
    "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libsqlite3-0 libgomp1"
).split()
_RUNTIMES = {
    "ai-edge-litert": ["ai-edge-litert==2.3.0"],
    "tflite-runtime": ["tflite-runtime==2.14.0", "numpy<2"],
}
_PLATFORMS = ("2_17", "2_27", "2_28", "2_34")
# What --stop looks for: a folder that we made may be removed, no other one (/etc/ssh has an sshd_config too).
_MARK = "board_in_a_box"
_CPUINFO = "".join(
    f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
    "CPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    for core in range(4)
)
_CPUINFO += "Model\t\t: board in a box (qemu-user, Cortex-A72)\n"
_SSHD = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/keys/host
AuthorizedKeysFile {folder}/keys/user.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
MaxStartups 50
SetEnv PATH={folder}/bin:/usr/bin:/bin HOME={folder}/home TMPDIR={folder}/tmp
"""
_CLIENT = """\
Host board
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/keys/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/keys/known_hosts
    GlobalKnownHostsFile none
    StrictHostKeyChecking yes
"""


def main() -> None:
    """Starts a board, or ends one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path, help="the board; new or empty, about 200 MB")
    parser.add_argument("--stop", action="store_true", help="end the board and remove its folder")
    parser.add_argument("--native", action="store_true", help="this machine's Python instead of an ARM one")
    parser.add_argument("--mirror", default=_MIRROR, help="where Debian's packages are")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    try:
        if arguments.stop:
            stop(folder)
        else:
            start(folder, native=arguments.native, mirror=arguments.mirror)
            print(f"--target ssh://board --ssh-config {shlex.quote(str(folder / 'ssh_config'))}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{shlex.join(map(str, error.cmd))} failed: {(error.stderr or '').strip()[-600:]}")


def start(folder: pathlib.Path, *, native: bool = False, mirror: str = _MIRROR) -> None:
    """Makes the board in ``folder`` and starts its sshd.

    Args:
        folder: a folder that is new or empty.
        native: whether its Python is the one that runs here.
        mirror: where Debian's packages are.
    """
    needed = {"/usr/sbin/sshd": "openssh-server"}
    if not native:
        needed |= {"qemu-aarch64-static": "qemu-user-static", "apt-get": "apt", "dpkg-deb": "dpkg"}
        needed["/usr/share/keyrings/debian-archive-keyring.gpg"] = "debian-archive-keyring"
    missing = [
        package
        for program, package in needed.items()
        if not (shutil.which(program) or pathlib.Path(program).is_file())
    ]
    if missing:
        sys.exit(f"Missing here: apt install {' '.join(missing)}")
    if not str(folder).replace("/", "").replace("_", "").replace("-", "").replace(".", "").isalnum():
        sys.exit(
            f"Expected a folder of letters, digits, '_', '-' and '.' (sshd's SetEnv). Received: {folder}"
        )
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"Expected a folder that is new or empty. Received: {folder}; end a board with --stop.")
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / _MARK).touch()
    for name in ("bin", "home", "tmp", "keys"):
        (folder / name).mkdir(mode=0o700)
    if native:
        _program(folder / "bin" / "python3", [sys.executable, '"$@"'])
    else:
        _arm_python(folder, mirror)
    _start_sshd(folder)


def stop(folder: pathlib.Path) -> None:
    """Ends the board's sshd and removes ``folder``, if it is a board that ``start`` made."""
    if not (folder / _MARK).is_file():
        sys.exit(f"Expected the folder of a board. Received: {folder}, where there is no {_MARK}.")
    config = folder / "sshd_config"
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "sshd.pid").read_text(encoding="ascii"))
        if str(config).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
        for _ in range(100):  # it removes its file when it ends
            if not (folder / "sshd.pid").exists():
                break
            time.sleep(0.02)
    shutil.rmtree(folder)


def _arm_python(folder: pathlib.Path, mirror: str) -> None:
    """Unpacks an ARM Python and two runtimes; ``python3`` has the first, ``python3-tflite`` the second."""
    root = folder / "root"
    _unpack_packages(folder / "apt", root, mirror)
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(_CPUINFO, encoding="ascii")
    for program, (name, wheels) in zip(("python3", "python3-tflite"), _RUNTIMES.items(), strict=True):
        site = folder / name
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--only-binary=:all:"]
        for version in _PLATFORMS:
            command += ["--platform", f"manylinux_{version}_aarch64"]
        command += [
            "--platform",
            "manylinux2014_aarch64",
            "--python-version",
            "3.11",
            "--implementation",
            "cp",
        ]
        _run([*command, "--target", str(site), *wheels])
        emulator = ["qemu-aarch64-static", "-L", str(root), str(root / "usr/bin/python3.11"), '"$@"']
        _program(folder / "bin" / program, emulator, QEMU_CPU="cortex-a72", PYTHONPATH=site)


def _unpack_packages(apt: pathlib.Path, root: pathlib.Path, mirror: str) -> None:
    """Downloads Debian's ARM packages with lists of our own; this machine's package system is not touched."""
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State::status": apt / "status",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::sourcelist": apt / "sources.list",
        "APT::Sandbox::User": "",
    }
    (apt / "sources.list").write_text(_SOURCE.format(mirror=mirror), encoding="ascii")
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    _run(["apt-get", "-qq", *options, "update"])
    _run(["apt-get", "-qq", *options, "download", *_PACKAGES], cwd=apt)
    for package in sorted(apt.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)])
    shutil.rmtree(apt)


def _start_sshd(folder: pathlib.Path) -> None:
    for name in ("host", "user"):
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "keys" / name)])
    if os.geteuid() == 0:
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {"port": port, "folder": folder, "user": pwd.getpwuid(os.geteuid()).pw_name}
    (folder / "sshd_config").write_text(_SSHD.format(**values), encoding="utf-8")
    (folder / "ssh_config").write_text(_CLIENT.format(**values), encoding="utf-8")
    host_key = (folder / "keys" / "host.pub").read_text(encoding="ascii")
    (folder / "keys" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="ascii")
    with (folder / "sshd.log").open("w") as log:
        # Not with -D: it goes to the background by itself, and nobody has to wait for it.
        subprocess.run(  # noqa: S603
            ["/usr/sbin/sshd", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(f"The board's sshd does not answer: {(folder / 'sshd.log').read_text()[-600:]}")


def _program(path: pathlib.Path, words: list[str], **environment) -> None:
    """Writes a shell script that becomes another program."""
    exports = "".join(f"export {name}={shlex.quote(str(value))}\n" for name, value in environment.items())
    path.write_text(f"#!/bin/sh\n{exports}exec {' '.join(words)}\n", encoding="utf-8")
    path.chmod(0o755)


def _run(command: list[str], **options) -> None:
    subprocess.run(  # noqa: S603
        command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options
    )


if __name__ == "__main__":
    main()
