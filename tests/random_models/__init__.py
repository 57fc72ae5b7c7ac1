"""Random small Keras models, random weights for them, and random zeros in those.

``random_model`` draws an architecture, ``fill`` its weights, ``zero_pattern`` what becomes zero: each from a
seed alone. ``traits`` counts what a model is made of, so that a test sees when something is drawn no more.
"""

from ._random_model import VOCABULARY as VOCABULARY
from ._random_model import random_model as random_model
from ._traits import traits as traits
from ._traits import walk as walk
from ._weights import fill as fill
from ._weights import random_inputs as random_inputs
from ._weights import zero_pattern as zero_pattern
