"""The operator table of ``benchmark_model``, in the forms that its source and users' logs show."""

import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.measure import Operator
from tf_wgsef.measure._tool_profile import read_profile

HEADER = "\t[node type]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]"
INIT = f"""INFO: Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
{HEADER}
\t AllocateTensors\t    0.102\t    9.102\t100.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0

"""
RUNS = f"""INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
{HEADER}
"""
TOP = f"""
============================== Top by Computation Time ==============================
{HEADER}
\t                SOFTMAX\t    7.000\t    7.000\t 70.000%\t 70.000%\t     0.000\t        1\t[twice]:9

Number of nodes executed: 2
"""


def row(kind, milliseconds, calls, name, *, start=""):
    return f"\t {kind:>24}\t{start}    0.300\t {milliseconds}\t 50.000%\t 60.000%\t 0.000\t {calls}\t{name}\n"


# Older tools: a start, no heading, and calls counted as 0.
OLD = "============================== Run Order ==============================\n"
OLD += HEADER.replace("[first]", "[start]\t[first]") + "\n"
OLD += row("CONV_2D", "4.250", 0, "[net/Conv/Relu6]", start="    0.000\t")
OLD += row("DEPTHWISE_CONV_2D", "0.750", 0, "[net/Deep, net/2]", start="   14.270\t") + TOP
CONV = row("Convolution (NHWC, QU8) IGEMM", "0.300", 1, "Delegate/Convolution (NHWC, QU8) IGEMM:0")
ADD = row("Add (ND, QU8)", "0.050", 2, "Delegate/Add (ND, QU8):1")
MEAN = row("MEAN", "0.100", 1, "[mean]:7")
WHOLE = row("TfLiteXNNPackDelegate", "0.450", 1, "[out]:8")
INSIDE = "Delegate internal: \n" + RUNS.partition("\n")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OLD, [("CONV_2D", "net/Conv/Relu6", 4250), ("DEPTHWISE_CONV_2D", "net/Deep, net/2", 750)]),
        (
            INIT + RUNS + CONV + ADD + MEAN + TOP,  # what the delegate does, in the same table
            [
                ("Convolution (NHWC, QU8) IGEMM", "Delegate/Convolution (NHWC, QU8) IGEMM:0", 300),
                ("Add (ND, QU8)", "Delegate/Add (ND, QU8):1", 100),  # twice 50
                ("MEAN", "mean:7", 100),
            ],
        ),
        (
            INIT + RUNS + WHOLE + MEAN + TOP,
            [("TfLiteXNNPackDelegate", "out:8", 450), ("MEAN", "mean:7", 100)],
        ),
        (
            INIT + RUNS + WHOLE + MEAN + TOP + INSIDE + CONV + ADD + TOP,  # and in a table of its own
            [
                ("Convolution (NHWC, QU8) IGEMM", "Delegate/Convolution (NHWC, QU8) IGEMM:0", 300),
                ("MEAN", "mean:7", 100),
                ("Add (ND, QU8)", "Delegate/Add (ND, QU8):1", 100),
            ],
        ),
        (
            (RUNS + MEAN).replace("\n", "\n05-30 13:04:39.021 25935 25935 I tflite  : "),
            [("MEAN", "mean:7", 100)],
        ),
        (INIT, []),
        ("", []),
        (RUNS + MEAN.replace("0.100", "0.000"), []),
        (RUNS + MEAN.replace("0.100", "nan"), []),
        (
            RUNS + "x" * 10**6 + "\n" + MEAN.replace("mean", "\x1b[2Jmean\u202e"),
            [("MEAN", "[2Jmean :7", 100)],
        ),
    ],
)
def test_tables(text, expected):
    found = read_profile(text)
    told = [(one.kind, one.name, pytest.approx(one.microseconds)) for one in found]
    assert told == expected
    assert not found or sum(one.share for one in found) == pytest.approx(1)


def test_the_ten_dearest_and_their_share_of_all():
    rows = [MEAN.replace("mean", f"m{number}").replace("0.100", f"{number}.000") for number in range(1, 21)]
    found = read_profile(RUNS + "".join(rows))
    assert [one.name for one in found] == [f"m{number}:7" for number in range(20, 10, -1)]
    assert found[0].share == pytest.approx(20 / 210)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"kind": "ADD", "name": "", "microseconds": "2", "share": 0.5},
        {"kind": 1, "name": "", "microseconds": 2.0, "share": 0.5},
        {"kind": "ADD", "name": "", "microseconds": 2.0, "share": float("nan")},
    ],
)
def test_operators_that_something_else_wrote(wrong):
    with pytest.raises(InputError, match="Expected the operators"):
        Operator.from_dict(wrong)
