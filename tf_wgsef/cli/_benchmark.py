"""``tf-wgsef benchmark``: the latency of one file, or of two in turns."""

SUMMARY = "Measure the latency of a .tflite file, or compare two files measured in turns."
EXAMPLE = "tf-wgsef benchmark dense.tflite small.tflite --threads 1"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("file", help="a .tflite file")
    parser.add_argument("other", nargs="?", help="a second .tflite file, to compare with the first")
    parser.add_argument("--target", default="local", help="where to measure: local is this machine")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime")
    parser.add_argument("--seconds", type=float, default=1.5, help="measure each file for at least so long")


def run(arguments, out, err) -> dict:
    """Measures and prints one line per file, and the ratio of two."""
    from rich.progress import Progress

    from tf_wgsef.measure import compare_latency, measure

    options = {
        "target": arguments.target,
        "threads": arguments.threads,
        "min_seconds": arguments.seconds,
    }
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("Measuring", total=1.0)

        def progress(share):
            bar.update(task, completed=share)

        if not arguments.other:
            stats = measure(arguments.file, progress=progress, **options)
        else:
            names = (arguments.file, arguments.other)
            comparison = compare_latency(*names, names=names, progress=progress, **options)
    if not arguments.other:
        out.print(str(stats), markup=False)
        return stats.to_dict()
    for one in (comparison.a, comparison.b, comparison.speedup_text):
        out.print(str(one), markup=False)
    return comparison.to_dict()
