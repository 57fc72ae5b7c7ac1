"""The command line ``tf-wgsef``: parsing only, one file per command."""

import sys


def main() -> None:
    """Runs the command line; the entry point of ``tf-wgsef``."""
    try:
        from tf_wgsef.cli._main import main as run_command

        run_command()
    except KeyboardInterrupt:  # before a command has begun, which tells of it in its own words
        sys.stderr.write("tf-wgsef: Interrupted; nothing was written.\n")
        sys.exit(130)
