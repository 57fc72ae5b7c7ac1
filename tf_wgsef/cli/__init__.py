"""The command line ``tf-wgsef``: parsing only, one file per command."""

from ._main import main as main
from ._main import parse as parse
from ._main import run as run
