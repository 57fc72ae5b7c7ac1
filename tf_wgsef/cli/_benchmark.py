"""``tf-wgsef benchmark``: the latency of one file, or of two in turns, on one device or several."""

from tf_wgsef.cli._benchmark_accuracy import add_accuracies, say_kept
from tf_wgsef.cli._benchmark_device import DeviceResult
from tf_wgsef.cli._benchmark_files import add_file_options, check_files, write_files
from tf_wgsef.cli._devices import add_device_options, check_device_options, open_target
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
    parser.add_argument(
        "--fail-above",
        metavar="SHARE",
        help="exit with 1 if the second file is slower than the first by more than this, 5%% or 0.05: if the "
        "lower end of the 99 %% interval of its time over the first's lies above (for use in CI)",
    )
    parser.add_argument(
        "--accuracy",
        metavar="DATA",
        help="an .npz file with x and y: also the share of right answers of each file, computed on the "
        "device where Python runs there, else on this machine",
    )
    parser.add_argument(
        "--operators",
        action="store_true",
        help="the ten operators that take most time, from runs of their own: by LiteRT's profiler where "
        "Python runs, else by --benchmark-model",
    )
    add_file_options(parser)
    parser.add_argument("--keep", action="store_true", help="leave the copied files on the device")
    add_device_options(parser)


def run(arguments, out, err) -> dict:
    """Measures on each device and prints its table, with the ratio of two files."""
    from tf_wgsef.errors import MeasurementError

    bound = _check(arguments)
    names = arguments.target or ["local"]
    targets = [open_target(name, arguments) for name in dict.fromkeys(names)]
    results = []
    for target in targets:
        stats, error = _measure(arguments, target, err)
        asked = {"bound": bound, "operators": arguments.operators}
        results.append(DeviceResult(str(target), stats, error=error, **asked))
        if not arguments.accuracy:
            results[-1].print_table(out)
        say_kept(target, err)
    failures = " ".join(one.failed for one in results if one.failed)
    if not any(one.stats for one in results):
        raise MeasurementError(failures)
    if arguments.accuracy:
        problem = add_accuracies(arguments, dict(zip(results, targets, strict=True)), err)
        failures = " ".join(filter(None, [failures, problem]))
        for one in results:
            one.print_table(out)
    write_files(arguments, results, out, err)
    values = {one.target: one.to_dict() for one in results}
    if any(one.error for one in results):
        raise PartlyDoneError(failures, {"targets": values})
    found = {"targets": values} if len(values) > 1 else next(iter(values.values()))
    if failures:
        raise PartlyDoneError(failures, found)
    return found


def _check(arguments):
    """Checks what can be known before long work; returns how much slower the second file may be."""
    from tf_wgsef.array_files import check_labelled
    from tf_wgsef.errors import InputError
    from tf_wgsef.measure import parse_bound

    check_files(arguments)
    if arguments.accuracy:
        check_labelled(arguments.accuracy)
    check_device_options(arguments.target or ["local"], arguments)
    if arguments.fail_above is None:
        return None
    if arguments.other is None:
        raise InputError(
            "Expected two files for --fail-above. Received: one. Name the one to compare with first."
        )
    return parse_bound(arguments.fail_above)


def _measure(arguments, target, err):
    """The statistics of the file, or of both, and why they are not all of them."""
    from rich.progress import Progress

    from tf_wgsef.errors import InputError, MeasurementError
    from tf_wgsef.measure import measure_interleaved

    paths = [path for path in (arguments.file, arguments.other) if path]
    # One file twice is measured as two: how far they differ is what measuring is worth here.
    names = paths if len(set(paths)) == len(paths) else [paths[0], f"{paths[1]} (again)"]
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("Measuring", total=1.0)
        try:
            found = measure_interleaved(
                dict(zip(names, paths, strict=True)),
                target=target,
                preset=arguments.preset,
                threads=arguments.threads,
                min_seconds=arguments.seconds,
                operators=arguments.operators,
                progress=lambda share: bar.update(task, completed=share),
            )
        except (InputError, MeasurementError) as error:  # other devices have measured, or will
            return list(getattr(error, "measured", ())), str(error)
    return list(found.values()), ""
