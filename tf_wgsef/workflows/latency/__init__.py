"""What the layers of a model cost on a device, by the channels that they keep."""

from ._cache import LatencyCache as LatencyCache
from ._calibrate import calibrate_latency_table as calibrate_latency_table
from ._check import LatencyCheck as LatencyCheck
from ._check import check_latency_table as check_latency_table
from ._counts import staircase as staircase
from ._least import least_latency as least_latency
from ._measure_table import measure_latency_table as measure_latency_table
