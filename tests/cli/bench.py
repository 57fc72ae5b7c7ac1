"""A device whose times are known."""

import numpy as np

from tf_wgsef.errors import MeasurementError
from tf_wgsef.measure import LatencyStats, Machine, Operator, Target
from tf_wgsef.measure._sampling import FileSamples

ROUNDS = 10


class Bench(Target):
    """Runs a file for as many microseconds as it has bytes; its later rounds ``slow`` times as long."""

    def __init__(self, name="local", *, slow=1.0, noise=0.0, silent=False, lost_after=None, operators=()):
        self.name, self.slow, self.noise, self.silent, self.lost_after = name, slow, noise, silent, lost_after
        self.operators = tuple(Operator(*one) for one in operators)
        self.plans = []

    def __str__(self):
        return self.name

    def run(self, files, plan, *, progress=None):
        self.plans.append(plan)
        found = [self._stats(file, seed) for seed, file in enumerate(files)]
        if self.lost_after is None:
            return found
        error = MeasurementError(f"Expected {self.name} to stay. Received: a cut.")
        error.measured = tuple(found) if self.lost_after else ()
        raise error

    def _stats(self, file, seed):
        count = self.lost_after or ROUNDS
        rng = np.random.default_rng(seed)
        base = len(file.content) * np.where(np.arange(count) < count / 2, 1.0, self.slow)
        base = base * np.exp(self.noise * rng.standard_normal(count))
        known = {"threads": 1, "target": self.name, "runtime": "fake 1", "delegate": "none", "session": "s"}
        known["operators"] = self.operators
        known["machine"] = Machine(cpu="toy")
        if self.silent:
            sums = dict.fromkeys(("min", "max", "std", "runs", "load", "first_invoke"))
            medians = tuple(base.tolist())
            return LatencyStats.from_summary(
                file, **sums, p50=float(np.median(base)), mean=1.0, round_medians=medians, **known
            )
        rounds = [np.array([one, one + turn]) for turn, one in enumerate(base)]
        return LatencyStats.from_samples(file, FileSamples(rounds, [3.0], [4.0]), **known)
