"""Methods against each other, with equal epochs, seeds and levels."""

from ._augment import Batches as Batches
from ._config import load_settings as load_settings
from ._execute import execute as execute
from ._methods import METHODS as METHODS
from ._methods import Method as Method
from ._recipes import RECIPES as RECIPES
from ._recipes import Recipe as Recipe
from ._results_file import append as append
from ._results_file import read_rows as read_rows
from ._run import Run as Run
from ._settings import Settings as Settings
from ._settings import read_settings as read_settings
from ._sweep import MethodsComparison as MethodsComparison
from ._sweep import compare_methods as compare_methods
