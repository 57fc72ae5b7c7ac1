"""``python -m tf_wgsef.keras2``: does the job that lies in the current folder."""

import pathlib
import sys

from tf_wgsef.keras2._run import run

if __name__ == "__main__":
    sys.exit(run(pathlib.Path.cwd()))
