import pytest

from tf_wgsef.report import Comparison, LayerRow, Report, Variant

HOSTILE = "<script>alert(1)</script>[red]x[/red]$\\frac{"


def latency(p50, **more):
    return {
        "unit": "microseconds",
        "p50": p50,
        "p90": 1.1 * p50,
        "p99": 1.5 * p50,
        "runs": 5000,
        "threads": 1,
        "runtime": "ai-edge-litert 2.1.6",
        "delegate": "XNNPACK",
        "machine": {"cpu": "A CPU", "cores": 2},
        "round_medians": [p50] * 20,
        **more,
    }


def make_layers():
    return (
        LayerRow(
            name="conv1",
            kind="Conv2D",
            channels_before=20,
            channels_after=5,
            parameters_before=520,
            parameters_after=130,
            macs_before=288_000,
            macs_after=72_000,
        ),
        LayerRow(name="pool", kind="MaxPooling2D"),
        LayerRow(
            name="fc",
            kind="Dense",
            channels_before=10,
            channels_after=10,
            parameters_before=5_010,
            parameters_after=1_260,
            macs_before=5_000,
            macs_after=1_250,
            note="stays: it is the output",
        ),
    )


def make_report(**changes):
    on = "360 digits"
    fields = {
        "title": "LeNet-5 on digits",
        "variants": (
            Variant(
                name="dense float",
                parameters=431_080,
                macs=2_293_000,
                file_bytes=1_729_512,
                latency=latency(54.2),
                accuracy=0.9833,
                accuracy_on=on,
            ),
            Variant(
                name="stripped float",
                parameters=27_027,
                macs=193_250,
                file_bytes=112_904,
                latency=latency(10.4),
                accuracy=0.9806,
                accuracy_on=on,
            ),
            Variant(
                name="narrow float",
                parameters=27_027,
                macs=193_250,
                file_bytes=112_904,
                latency=latency(10.5),
            ),
        ),
        "layers": make_layers(),
        "comparisons": (
            Comparison(a="dense float", b="stripped float", ratio=5.21, low=5.1, high=5.3),
            Comparison(a="stripped float", b="narrow float", ratio=0.991, low=0.97, high=1.01),
        ),
        "notes": ("Seed 0.",),
        "explanation": ("MACs fell 11.9×, latency 5.2×.",),
        "history": {"accuracy": [0.5, 0.9, 0.98], "live_groups": [25.0, 20.0, 15.0]},
        "phases": {"dense": 1, "WGSEF": 2},
        "environment": {"machine": "x86_64", "versions": {"keras": "3.15.1"}, "date": "2025-01-01"},
        "max_abs_diff": 3.3e-7,
        "output_range": 24.1,
    }
    return Report(**{**fields, **changes})


@pytest.fixture
def report():
    return make_report()


@pytest.fixture
def hostile_report():
    """Names and notes as an attacker would write them into a model file or a report.json."""
    name = HOSTILE + "\x1b[2J\u202e層"
    return make_report(
        title=name,
        variants=(
            Variant(name=name, parameters=10, macs=10, accuracy=0.5, accuracy_on=name),
            Variant(name=name + "2", parameters=5, macs=5, latency={"p50": 1.0, name: name}),
        ),
        comparisons=(Comparison(a=name, b=name + "2", ratio=2, low=1.5, high=3, note=name),),
        layers=(
            LayerRow(name=name, kind=name, channels_before=2, channels_after=1, note=name),
            LayerRow(name=name + "\n3", kind="Dense", macs_before=4, macs_after=4),
        ),
        notes=(name,),
        explanation=(name,),
        history={"accuracy" + name: [0.1, 0.2]},
        phases={name: 2},
        environment={name: name, "machine": name, "date": name},
    )
