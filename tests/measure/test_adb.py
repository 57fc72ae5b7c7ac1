"""Phones: a real adb client and server on loopback, against a small device-side daemon."""

import json

import numpy as np
import pytest

from tf_wgsef.cli._main import parse, run
from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import AdbTarget, LatencyStats, SSHTarget, compare_latency, measure
from tf_wgsef.measure._tool_log import read_log

from .boards import SHORT, put_program
from .phone import Phone, adb_server, attach, detach

# Says what it was called with, and takes as many microseconds as the file has bytes, more in each round.
TOOL = r"""#!/bin/sh
echo "$0 $*" >> "${0%/*}/../calls"
graph=${1#--graph=}
echo x >> "${0%/*}/../turns"
size=$(($(wc -c < "$graph") + $(wc -l < "${0%/*}/../turns")))
echo "STARTING!"
printf 'INFO: Replacing 3 out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node, ' >&2
echo 'yielding 1 partitions for subgraph 0.' >&2
echo "INFO: count=9 first=99999 curr=99999 min=99999 max=99999 avg=99999 std=0 median=99999 p95=99999"
echo
printf "INFO: count=50 first=$((size+5)) curr=$size min=$((size-3)) max=$((size+9)) "
echo "avg=$((size+1)) std=2 p5=1 median=$size p95=2"
echo
printf 'INFO: Inference timings in us: Init: 777, First inference: 99999, Warmup (avg): 99999, '
echo "Inference (avg): $((size+1))"
case "$*" in *--enable_op_profiling=true*)
echo "INFO: Operator-wise Profiling Info for Regular Benchmark Runs:"
echo "============================== Run Order =============================="
echo "    CONV_2D   0.100   0.030  60.000%  60.000%   0.000   1   [conv]:0"
echo "    ADD   0.100   0.010  40.000%  100.000%   0.000   2   [sum]:1";; esac
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with adb_server(tmp_path_factory.mktemp("adb")) as attach_phone:
        yield attach_phone


@pytest.fixture
def phone(server, tmp_path):
    with attached(tmp_path / "phone") as one:
        yield one


class attached:  # noqa: N801 - used like a function
    """A phone that adb sees."""

    def __init__(self, folder, **options):
        self.phone = Phone(folder, **options)

    def __enter__(self):
        attach(self.phone)
        return self.phone

    def __exit__(self, *_):
        detach(self.phone)
        self.phone.close()


@pytest.fixture
def tool(tmp_path):
    path = tmp_path / "benchmark_model"
    path.write_text(TOOL)
    return path


def calls(phone):
    return [line.split() for line in (phone.disk / "calls").read_text().splitlines()]


def test_a_phone_measures_what_the_plan_says(phone, tool, tiny_tflite):
    shares = []
    device = AdbTarget(benchmark_model=tool)
    stats = measure(tiny_tflite, name="tiny", target=device, threads=4, progress=shares.append, **SHORT)
    typical = len(tiny_tflite) + np.arange(1, 9)
    assert stats.target == f"adb:{phone.serial}"
    assert stats.round_medians == tuple(typical)
    assert stats.p50 == np.median(typical)
    assert (stats.min, stats.max) == (typical[0] - 3, typical[-1] + 9)
    assert stats.mean == np.mean(typical + 1)
    # Eight rounds of one spread, and the spread of their means: variances add.
    assert stats.std == pytest.approx(np.sqrt(4 + np.var(typical)))
    assert (stats.runs, stats.load, stats.first_invoke) == (8 * 50, 777, 99999)
    assert (stats.p90, stats.p95, stats.p99) == (None, None, None)
    assert stats.machine.cpu == "Toy Phone" and stats.machine.os.startswith("Android 14, Linux")
    assert stats.runtime == "benchmark_model (medians of 8 rounds)"
    assert stats.delegate == "TfLiteXNNPackDelegate: 3 of 4 operators in 1 partition"
    assert shares[-1] == 1
    assert LatencyStats.from_dict(json.loads(json.dumps(stats.to_dict(), allow_nan=False))) == stats
    assert "p50" in str(stats) and "p99" not in str(stats)
    (first, *_, last) = calls(phone)
    assert first[2:] == "--num_threads=4 --num_runs=2 --min_secs=0.01 --max_secs=3600".split() + [
        "--warmup_runs=1",
        "--warmup_min_secs=0",
    ]
    assert last[-1] == "--warmup_min_secs=0.001"
    assert sorted(phone.left()) == ["calls", "turns"]  # what the tool itself wrote beside its folder


def test_two_files_take_turns_on_a_phone(phone, tool, tiny_tflite):
    larger = tiny_tflite + bytes(len(tiny_tflite))
    both = compare_latency(
        larger, tiny_tflite, target=AdbTarget(f"adb:{phone.serial}", benchmark_model=tool), **SHORT
    )
    assert both.ratio == pytest.approx(2, abs=0.01)
    assert both.differs
    order = "".join(call[1][-8] for call in calls(phone))
    assert order == "01100110" * 2


def test_big_cores_and_chosen_cores(phone, tool, tiny_tflite):
    phone.program(
        "taskset", 'echo "$1" >> "$TASKS"; shift; exec "$@"'.replace("$TASKS", str(phone.disk / "masks"))
    )
    stats = measure(tiny_tflite, target=AdbTarget(benchmark_model=tool, cores=[4, 5, 6, 7]), **SHORT)
    assert stats.conditions.before.cores == stats.conditions.after.cores == (4, 5, 6, 7)
    assert set((phone.disk / "masks").read_text().split()) == {"f0"}
    (phone.disk / "masks").unlink()
    # Four slow cores, three fast ones, and one that is faster still.
    speeds = {core: 1_800_000 if core < 4 else 2_400_000 if core < 7 else 2_900_000 for core in range(8)}
    lines = "; ".join(
        f"printf 'tf_wgsef speed /sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq {speed}\\n'"
        for core, speed in speeds.items()
    )
    phone.program("sh", f'case "$2" in *cpuinfo_max_freq*) {lines};; *) exec /bin/sh "$@";; esac')
    measure(tiny_tflite, target=AdbTarget(benchmark_model=tool, cores="big"), **SHORT)
    assert set((phone.disk / "masks").read_text().split()) == {"f0"}
    phone.program("sh", 'case "$2" in *cpuinfo_max_freq*) ;; *) exec /bin/sh "$@";; esac')
    with pytest.raises(MeasurementError, match="tell the speed of its cores"):
        measure(tiny_tflite, target=AdbTarget(benchmark_model=tool, cores="big"), **SHORT)


def test_keep_leaves_the_files_on_the_phone(phone, tool, tiny_tflite):
    device = AdbTarget(benchmark_model=tool, keep=True)
    measure(tiny_tflite, target=device, **SHORT)
    folder = phone.here(device.kept_folder)
    assert (folder / "0.tflite").read_bytes() == tiny_tflite
    assert (folder / "benchmark_model").read_text() == TOOL


def test_an_android_before_7_measures_too(server, tool, tiny_tflite, tmp_path):
    with attached(tmp_path / "old", shell_v2=False) as old:
        assert measure(tiny_tflite, target=AdbTarget(benchmark_model=tool), **SHORT).runs == 400
        tool.write_text("#!/bin/sh\necho 'ERROR: Failed to load model'; exit 1")
        with pytest.raises(MeasurementError, match="no timings, but 'ERROR: Failed to load model'"):
            measure(tiny_tflite, target=AdbTarget(benchmark_model=tool), **SHORT)
        assert sorted(old.left()) == ["calls", "turns"]


def test_times_per_operator_come_from_a_run_of_their_own(phone, tool, tiny_tflite):
    stats = measure(tiny_tflite, target=AdbTarget(benchmark_model=tool), operators=True, **SHORT)
    found = [(one.kind, one.name, one.microseconds, one.share) for one in stats.operators]
    assert found == [
        ("CONV_2D", "conv:0", 30.0, pytest.approx(0.6)),
        ("ADD", "sum:1", 20.0, pytest.approx(0.4)),
    ]
    profiled = ["--enable_op_profiling=true" in call for call in calls(phone)]
    assert profiled == [False] * 8 + [True]
    assert stats.runs == 8 * 50  # the run with the profiler, which slows it, is not among them
    assert LatencyStats.from_dict(json.loads(json.dumps(stats.to_dict()))) == stats


def test_two_phones_on_the_command_line(phone, server, tool, tiny_path, tmp_path, capsys):
    def benchmark(*targets):
        options = [option for target in targets for option in ("--target", target)]
        arguments = ["benchmark", tiny_path, *options, "--benchmark-model", tool, "--json"]
        status = run(parse(["tf-wgsef", *map(str, arguments)]))
        captured = capsys.readouterr()
        return status, captured.out, captured.err.splitlines()[-1]

    with attached(tmp_path / "second") as second:
        status, out, line = benchmark("adb")
        assert (status, out) == (1, "")
        assert "2 devices" in line
        assert f"adb:{phone.serial}" in line and f"adb:{second.serial}" in line
        status, out, _ = benchmark(f"adb:{phone.serial}", f"adb:{second.serial}")
        assert status == 0
        assert list(json.loads(out)["targets"]) == [f"adb:{phone.serial}", f"adb:{second.serial}"]


@pytest.mark.parametrize("serial", ["", "nobody:1"])
def test_no_phone(server, serial, tool, tiny_path, capsys):
    target = f"adb:{serial}" if serial else "adb"
    arguments = ["benchmark", tiny_path, "--target", target, "--benchmark-model", tool]
    assert run(parse(["tf-wgsef", *map(str, arguments)])) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Expected a device" in captured.err.splitlines()[-1]


def test_a_full_phone(phone, tool, tiny_tflite):
    phone.full_after = 100_000
    with pytest.raises(MeasurementError, match="No space left on device.*Free some space there"):
        measure(tiny_tflite + bytes(200_000), target=AdbTarget(benchmark_model=tool), **SHORT)
    assert phone.left() == []


def test_unplugged_while_pushing(phone, tool, tiny_tflite):
    phone.cut_after = 100_000
    with pytest.raises(MeasurementError, match="Expected a connection to adb:.* may be left there") as caught:
        measure(tiny_tflite + bytes(1 << 20), target=AdbTarget(benchmark_model=tool), **SHORT)
    assert caught.value.measured == ()
    assert "\n" not in str(caught.value)


def test_unplugged_while_running(phone, tool, tiny_tflite):
    def unplug(share):
        if share > 0.5:
            phone.unplug()

    device = AdbTarget(benchmark_model=tool)
    with pytest.raises(
        MeasurementError, match="connection to adb:.* of 40 rounds were measured and are"
    ) as caught:
        measure(tiny_tflite, target=device, progress=unplug, **SHORT | {"rounds": 40})
    (kept,) = caught.value.measured
    assert 20 <= len(kept.round_medians) < 40
    assert "may be left there in /data/local/tmp/tf_wgsef." in str(caught.value)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 139", "it crashed (segmentation fault)"),
        ("echo 'count=5 first=0 curr=0 min=0 max=0 avg=0 std=0'", "no timings"),
        ("echo 'count=5 first=1 curr=1 min=1 max=nan avg=inf std=0'", "no timings"),
        ("printf '\\033[2Jnothing\\n'", "no timings, but '[2Jnothing'"),
        ("echo broken >&2; exit 1", "status 1 (broken)"),
    ],
)
def test_tools_that_fail(phone, tool, tiny_tflite, script, said):
    tool.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(MeasurementError) as caught:
        measure(tiny_tflite, target=AdbTarget(benchmark_model=tool), **SHORT)
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert phone.left() == []


def test_a_tool_for_another_processor(phone, tmp_path, tiny_tflite):
    program = tmp_path / "benchmark_model"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(200))
    with pytest.raises(MeasurementError, match="run benchmark_model on tflite. Received: status 12[67]"):
        measure(tiny_tflite, target=AdbTarget(benchmark_model=program), **SHORT)


def test_the_tool_of_a_board(native_board, tiny_tflite, tmp_path):
    program = native_board.folder / "home" / "benchmark model"  # a name that a shell would split
    program.write_text(TOOL)
    program.chmod(0o755)
    device = SSHTarget("ssh://board", ssh_config=native_board.config, benchmark_model=str(program))
    stats = measure(tiny_tflite, target=device, **SHORT)
    assert (stats.runs, stats.target) == (400, "ssh://board")
    assert stats.machine.architecture == "x86_64" or stats.machine.cores >= 1
    assert native_board.left() == []


def test_a_fake_program_is_not_written_through_a_link(tmp_path):
    """The phone's programs are links to those of this machine."""
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    put_program(tmp_path / "link", "echo fake")
    assert (tmp_path / "mine").read_text() == "precious"
    assert (tmp_path / "link").read_text() == "#!/bin/sh\necho fake\n"


def test_no_adb_here(monkeypatch, tmp_path, tool, tiny_tflite):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeasurementError, match="no `adb` in PATH"):
        measure(tiny_tflite, target=AdbTarget(benchmark_model=tool))


@pytest.mark.parametrize(
    "target", ["adb:", "adb:-s", "adb:a b", "adb:$(touch canary)", "adb:x\n", "adb:;id", "adbx"]
)
def test_hostile_serials(target, tool, tiny_tflite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Received: target="):
        measure(tiny_tflite, target=target)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the native tool that measures on a phone"),
        ({"benchmark_model": "/no/such/tool"}, "cannot be read"),
        ({"benchmark_model": "."}, "cannot be read"),
        ({"benchmark_model": "nul\0"}, "cannot be read"),
        ({"benchmark_model": "/dev/null"}, "which is empty"),
    ],
)
def test_a_phone_needs_its_tool(options, said):
    with pytest.raises(InputError, match=said):
        AdbTarget("adb", **options)


# Lines that users of the tool have published, of several ages of it.
LOGS = {
    "with a median": (
        """INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602

INFO: Running benchmark for at least 50 iterations and at least 1 seconds.
INFO: count=50 first=1249964 curr=1240143 min=1238588 max=1252566 avg=1.24027e+06 std=2565 p5=1238753 \
median=1239807 p95=1247415

INFO: Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3576e+06, \
Inference (avg): 1.24027e+06
""",
        (1239807, 50, 1240270, 2565, 1238588, 1252566, 5579, 1357602),
    ),
    "without": (
        """count=1 curr=3512391

count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, \
Inference (avg): 2.95034e+06
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
""",
        (2950340, 50, 2950340, 109798, 2727568, 3189954, 17187, 3512391),
    ),
    "an operator profile behind it": (
        """I tflite  : count=3166 first=947 curr=406 min=390 max=947 avg=411.071 std=14
Inference timings in us: Init: 100, First inference: 950, Warmup (avg): 500, Inference (avg): 411.071
Timings (microseconds): count=3000 first=1 curr=1 min=1 max=1 avg=1 std=1
Memory (bytes): count=0
5 nodes observed
""",
        (411.071, 3166, 411.071, 14, 390, 947, 100, 950),
    ),
    "a profile only": (
        "Timings (microseconds): count=50 first=79449 curr=81350 min=77385 max=88213 avg=79732 std=1929\n"
        "Memory (bytes): count=50 curr=19598656(all same)\n",
        (79732, 50, 79732, 1929, 77385, 88213, None, None),
    ),
    "all the same": ("count=5 curr=150(all same)\n", (150, 5, 150, 0, 150, 150, None, None)),
    "a summary only": (
        "I/tflite: Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, "
        "Inference (avg): 14575.2\n",
        (14575.2, None, 14575.2, None, None, None, 5685, 18535),
    ),
    "whole microseconds are too coarse for a median": (
        "count=9000 first=9 curr=7 min=6 max=90 avg=7.25 std=1 p5=7 median=7 p95=8\n",
        (7.25, 9000, 7.25, 1, 6, 90, None, None),
    ),
}


@pytest.mark.parametrize("case", LOGS)
def test_logs(case):
    text, expected = LOGS[case]
    found = read_log(text)
    assert (
        found.typical,
        found.runs,
        found.mean,
        found.std,
        found.min,
        found.max,
        found.load,
        found.first_invoke,
    ) == expected


@pytest.mark.parametrize("text", ["", "count=0", "count=5 curr=x", "avg=5 std=1", "count=1 curr=1e99999"])
def test_no_log(text):
    assert read_log(text) is None
