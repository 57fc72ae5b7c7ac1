"""Keeping a measurement of this machine to some cores."""

import os
import pathlib

import pytest

from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import LocalTarget, measure
from tf_wgsef.measure import _cores as cores_module
from tf_wgsef.measure._cores import pinned_here

from .boards import SHORT

_THREADS = pathlib.Path("/proc/self/task")
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")


def threads_of_this_process():
    return {one.name: os.sched_getaffinity(int(one.name)) for one in _THREADS.iterdir()}


def test_all_threads_of_the_runtime_stay_on_the_core(tiny_tflite):
    before = os.sched_getaffinity(0)
    core = max(before)
    known, seen = {one.name for one in _THREADS.iterdir()}, []

    def look(share):
        new = {name: cores for name, cores in threads_of_this_process().items() if name not in known}
        seen.append((os.sched_getaffinity(0), new))

    stats = measure(tiny_tflite, target=LocalTarget(cores=[core]), threads=2, progress=look, **SHORT)
    assert all(main == {core} and all(one == {core} for one in new.values()) for main, new in seen)
    assert stats.conditions.before.cores == stats.conditions.after.cores == (core,)
    assert os.sched_getaffinity(0) == before


def test_afterwards_all_is_as_it_was_also_after_an_error():
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), pinned_here((min(before),)):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_cores_that_this_process_may_not_use(tiny_tflite):
    with pytest.raises(MeasurementError, match="Received: cores=1000. Pass some of"):
        measure(tiny_tflite, target=LocalTarget(cores=[1000]), **SHORT)
    with pytest.raises(InputError, match="`cores`"):
        LocalTarget(cores="fast")


def test_a_system_that_cannot(tiny_tflite, monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity")
    with pytest.raises(MeasurementError, match="Measure without `cores`"):
        measure(tiny_tflite, target=LocalTarget(cores=[0]), **SHORT)


def test_big_cores_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(cores_module, "_SYSTEM", tmp_path)
    with pytest.raises(MeasurementError, match="this machine to tell the speed"), pinned_here("big"):
        pass
    allowed = sorted(os.sched_getaffinity(0))
    for core in (*allowed, 999):
        folder = tmp_path / f"devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text("1000" if core != allowed[0] else "2000")
    with pinned_here("big"):
        assert os.sched_getaffinity(0) == {allowed[0]}
    assert sorted(os.sched_getaffinity(0)) == allowed
