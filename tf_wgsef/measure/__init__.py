"""Latency of ``.tflite`` files, in microseconds, measured so that two figures can be compared.

A measurement is a number of short *rounds*. In each round every file is loaded afresh and then run
for a slice of time, one file after the other, in an order that turns round from round to round
(A-B-B-A). Interleaving cancels what changes slowly on the machine. Loading afresh averages over
where the runtime happens to put its buffers, which alone moves the median of one loaded file by 1
to 5 %. So a ratio is judged round by round (``LatencyComparison``), not from one long run after
another.

    stats = tf_wgsef.measure("model.tflite")                          # LatencyStats
    both = tf_wgsef.compare_latency("dense.tflite", "small.tflite")   # LatencyComparison
    print(both.speedup_text)

This folder needs NumPy and either ``ai_edge_litert`` or ``tflite_runtime``, nothing else: it runs
on a board without Keras and TensorFlow.
"""

from tf_wgsef.callable_module import make_callable

from ._accuracy import FileAccuracy as FileAccuracy
from ._accuracy import measure_accuracy as measure_accuracy
from ._adb_target import AdbTarget as AdbTarget
from ._comparison import LatencyComparison as LatencyComparison
from ._comparison import compare_latency as compare_latency
from ._conditions import Conditions as Conditions
from ._machine import Machine as Machine
from ._measure import measure as measure
from ._measure import measure_interleaved as measure_interleaved
from ._model_file import ModelFile as ModelFile
from ._plan import SamplingPlan as SamplingPlan
from ._reading import Reading as Reading
from ._resolve import resolve_target as resolve_target
from ._slower import SlowerVerdict as SlowerVerdict
from ._slower import judge_slower as judge_slower
from ._slower import parse_bound as parse_bound
from ._ssh_target import SSHTarget as SSHTarget
from ._stats import LatencyStats as LatencyStats
from ._targets import LocalTarget as LocalTarget
from ._targets import Target as Target
from ._text import one_line as one_line
from ._tool_profile import Operator as Operator

make_callable(__name__)
