"""A target whose latencies follow from the file: what a table measures on it is known."""

import math

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tf_wgsef.measure import LatencyStats, Target
from tf_wgsef.measure._machine import Machine
from tf_wgsef.measure._sampling import FileSamples

PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class ClockworkTarget(Target):
    """Takes 5 µs for a call, and for each operator 0.01 µs per input number and step of output channels.

    A depthwise convolution takes 0.1 µs per position and step, however many channels fill the step.

    Args:
        step: output channels that are computed at a time.
        scale: how much longer an operator takes inside a larger model.
    """

    def __init__(self, step=16, scale=1.0):
        self.step, self.scale, self.files = step, scale, 0

    def run(self, files, plan, *, progress=None):
        self.files += len(files)
        return [self._stats(file, plan) for file in files]

    def microseconds(self, content: bytes) -> float:
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
        shapes = {one["index"]: one["shape"] for one in interpreter.get_tensor_details()}
        products = [op for op in interpreter._get_ops_details() if op["op_name"] in PRODUCTS]
        total = 0.0
        for op in products:
            taken, made = shapes[op["inputs"][0]], shapes[op["outputs"][0]]
            numbers = np.prod(taken) if op["op_name"] != PRODUCTS[1] else 10 * np.prod(taken[:-1])
            total += 0.01 * numbers * math.ceil(made[-1] / self.step)
        return 5 + total * (self.scale if len(products) > 1 else 1)

    def _stats(self, file, plan):
        time = self.microseconds(file.content)
        return LatencyStats.from_samples(
            file, FileSamples([np.array([time])], [1.0], [time]), threads=plan.threads, target="clockwork",
            runtime="none 1", delegate="none", machine=Machine("clock", "brass"), session="1",
        )  # fmt: skip
