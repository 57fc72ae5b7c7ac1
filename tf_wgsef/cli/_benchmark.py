"""``tf-wgsef benchmark``: the latency of one file, or of two in turns, on one device or several."""

from tf_wgsef.cli._devices import add_device_options, open_target
from tf_wgsef.cli._partly import PartlyDoneError

SUMMARY = "Measure the latency of a .tflite file, or compare two files measured in turns, on each device."
EXAMPLE = "tf-wgsef benchmark dense.tflite small.tflite --target local --target ssh://pi@raspberrypi"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("file", help="a .tflite file")
    parser.add_argument("other", nargs="?", help="a second .tflite file, to compare with the first")
    parser.add_argument(
        "--target",
        action="append",
        help="where to measure: local (this machine, the default), ssh://user@host:port (a board) or "
        "adb:serial (a phone; adb alone if it is the only one); may be given several times",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime")
    parser.add_argument(
        "--preset",
        choices=("quick", "normal", "mlperf"),
        default="normal",
        help="how long: quick (0.3 s per file, for a glance), normal (1.5 s), mlperf (1024 runs and 60 s)",
    )
    parser.add_argument(
        "--seconds", type=float, help="measure each file for at least so long, not as the preset"
    )
    parser.add_argument("--keep", action="store_true", help="leave the copied files on the device")
    add_device_options(parser)


def run(arguments, out, err) -> dict:
    """Measures on each device and prints its table, with the ratio of two files."""
    from tf_wgsef.errors import MeasurementError

    names = arguments.target or ["local"]
    targets = [open_target(name, arguments) for name in dict.fromkeys(names)]
    values, failures = {}, []
    for target in targets:
        try:
            stats = _measure(arguments, target, err)
            values[str(target)] = _show(stats, out)
        except MeasurementError as error:
            failures.append(str(error))
            shown = _show(error.measured, out) if error.measured else {}
            values[str(target)] = {"error": str(error), **shown}
        if getattr(target, "kept_folder", ""):
            err.print(f"Kept on {target}: {target.kept_folder}", markup=False, highlight=False)
    if failures and not any(set(one) - {"error"} for one in values.values()):
        raise MeasurementError(" ".join(failures))
    if failures:
        raise PartlyDoneError(" ".join(failures), {"targets": values})
    return {"targets": values} if len(values) > 1 else next(iter(values.values()))


def _measure(arguments, target, err):
    """The statistics of the file, or of both."""
    from rich.progress import Progress

    from tf_wgsef.measure import measure_interleaved

    paths = [path for path in (arguments.file, arguments.other) if path]
    # One file twice is measured as two: how far they differ is what measuring is worth here.
    names = paths if len(set(paths)) == len(paths) else [paths[0], f"{paths[1]} (again)"]
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("Measuring", total=1.0)
        found = measure_interleaved(
            dict(zip(names, paths, strict=True)),
            target=target,
            preset=arguments.preset,
            threads=arguments.threads,
            min_seconds=arguments.seconds,
            progress=lambda share: bar.update(task, completed=share),
        )
    return list(found.values())


def _show(stats, out):
    """Prints a device's table; returns its values."""
    from rich.table import Table
    from rich.text import Text

    from tf_wgsef.measure import LatencyComparison, one_line

    first = stats[0]
    threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
    device = f"{first.machine.cpu}, {first.machine.architecture}, {first.runtime}, {threads}{first.caveat}"
    table = Table(title=Text(one_line(f"{first.target}: {device}")), title_justify="left")
    table.add_column("microseconds")
    columns = ("p50", "p90", "p99", "min", "load", "first_invoke", "runs")
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right")
    for one in stats:
        figures = [getattr(one, name) for name in columns]
        table.add_row(Text(one_line(one.name)), *map(_number, figures))
    out.print(table)
    facts = "; ".join(f"{name} {text}" for name, text in first.conditions.facts.items())
    if facts:
        out.print(Text(one_line(facts, limit=1000)))
    if len(stats) == 1:
        return first.to_dict()
    # Of a comparison that was cut short there may be too few rounds for an interval.
    if len(first.round_medians) < LatencyComparison.MIN_ROUNDS:
        return {"a": first.to_dict(), "b": stats[1].to_dict()}
    comparison = LatencyComparison.from_stats(*stats)
    out.print(Text(one_line(comparison.speedup_text, limit=1000)))
    return comparison.to_dict()


def _number(value):
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
