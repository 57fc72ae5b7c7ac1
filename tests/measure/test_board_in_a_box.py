"""The tool that makes a board removes nothing else."""

import subprocess
import sys

from tests.measure.boards import TOOL


def test_a_folder_that_is_no_board_is_not_removed(tmp_path):
    (tmp_path / "sshd_config").write_text("Port 22\n")
    command = [sys.executable, str(TOOL), str(tmp_path), "--stop"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "Expected the folder of a board" in done.stderr
    assert (tmp_path / "sshd_config").read_text() == "Port 22\n"
