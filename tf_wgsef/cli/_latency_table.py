"""``tf-wgsef latency-table``: what each layer of a model costs on a device, by its channels."""

from tf_wgsef.cli._devices import add_device_options, check_device_options, open_target

SUMMARY = "Measure what a model's layers cost on a device, by the channels they keep, for a latency budget."
EXAMPLE = "tf-wgsef latency-table model.keras --output table.json"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file; its weights do not matter")
    parser.add_argument("--output", default="latency_table.json", help="the table to write")
    parser.add_argument("--target", default="local", help="where to measure: local, ssh://user@host or adb")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime")
    parser.add_argument(
        "--quantization",
        choices=("none", "float16", "dynamic", "int8"),
        default="none",
        help="kind of numbers",
    )
    parser.add_argument("--seconds", type=float, default=0.2, help="measure each file for at least so long")
    parser.add_argument(
        "--check",
        type=int,
        default=10,
        metavar="N",
        help="strip the model at random N times, and set predicted against measured latencies; 0: do not",
    )
    parser.add_argument("--plot", metavar="FILE", help="also draw it: a .png file")
    parser.add_argument("--cache", metavar="FOLDER", help="times of earlier measurements (the user's cache)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output files")
    add_device_options(parser)


def run(arguments, out, err) -> dict:
    """Measures the table, checks its predictions, and prints both."""
    from tf_wgsef.output_files import new_file

    target = _check(arguments)
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.report import explain_prediction, render_latency_png, render_latency_table
        from tf_wgsef.workflows import WorkflowProgress
        from tf_wgsef.workflows._files import load_keras_model
        from tf_wgsef.workflows.latency import (
            LatencyCache,
            check_latency_table,
            least_latency,
            measure_latency_table,
        )

        model = load_keras_model(arguments.model)
    options = {name: getattr(arguments, name) for name in ("threads", "quantization", "seconds")}
    options["target"] = target
    with WorkflowProgress({"Measuring": 3, "Checking": 1}, console=err) as progress:
        progress.begin("Measuring")
        cache = LatencyCache(arguments.cache)
        table = measure_latency_table(model, cache=cache, progress=progress.advance, **options)
        check = None
        if arguments.check:
            progress.begin("Checking")
            check = check_latency_table(
                model, table, count=arguments.check, progress=progress.advance, **options
            )
    out.print(render_latency_table(table))
    if table.channel_step:
        out.print(
            f"Output channels are computed {table.channel_step} at a time: round_to={table.channel_step}."
        )
    if check:
        out.print(explain_prediction(check.predicted, check.measured))
    with new_file(arguments.output, overwrite=arguments.overwrite) as path:
        path.write_text(table.to_json() + "\n", encoding="utf-8")
    if arguments.plot:
        pairs = (check.predicted, check.measured) if check else ()
        with new_file(arguments.plot, overwrite=arguments.overwrite) as path:
            path.write_bytes(render_latency_png(table, *pairs))
    dense, least = table.predict(model), least_latency(model, table)
    proposal = _proposal(arguments.output, dense, least)
    out.print(f"Written to {arguments.output}. {proposal}", highlight=False, markup=False, soft_wrap=True)
    return {
        "output": arguments.output,
        "device": table.device,
        "dense_us": dense,
        "least_us": least,
        "overhead_us": table.overhead,
        "channel_step": table.channel_step,
        "predicted_us": list(check.predicted) if check else [],
        "measured_us": list(check.measured) if check else [],
        "median_error": check.median_error if check else None,
    }


def _proposal(path: str, dense: float, least: float) -> str:
    """What to do with the table: lines to paste that work."""
    if least > 0.9 * dense:
        return f"The smallest network would take {least:.3g} of {dense:.3g} µs: no budget is worth it here."
    half, word = dense / 2, "Half of the dense time"
    if half < 1.05 * least:
        half, word = (
            (dense + least) / 2,
            "Half is out of reach (single filters take more); what is in between",
        )
    return (
        f"{word}, {half:.3g} of {dense:.3g} µs, as a budget:\n"
        f"  table = tf_wgsef.LatencyTable.load({path!r})\n"
        f'  sparse = tf_wgsef.sparsify(model, budget={{"latency": ({half:.4g}, table)}})'
    )


def _check(arguments):
    """Checks what can be known before long work; returns the target."""
    from tf_wgsef.errors import InputError
    from tf_wgsef.output_files import check_new_file
    from tf_wgsef.validation import check_positive_int, is_finite_number

    for path, ending in ((arguments.output, ".json"), (arguments.plot, ".png")):
        if path is not None and not path.endswith(ending):
            raise InputError(f"Expected a file that ends in {ending}. Received: {path!r}.")
        if path is not None:
            check_new_file(path, overwrite=arguments.overwrite)
    check_device_options([arguments.target], arguments)
    target = open_target(arguments.target, arguments)
    check_positive_int("threads", arguments.threads)
    if not is_finite_number(arguments.seconds) or arguments.seconds <= 0:
        raise InputError(f"Expected --seconds above 0. Received: {arguments.seconds}. Pass 0.2.")
    if arguments.check < 0:
        raise InputError(
            f"Expected --check of at least 0. Received: {arguments.check}. Pass 10, or 0 to check nothing."
        )
    return target
