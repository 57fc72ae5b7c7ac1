"""``tf-wgsef report``: two models, before and after, on one page; or a report that was written before."""

SUMMARY = "Compare two Keras models (size, MACs, latency, accuracy) on one page, or show a saved report."
EXAMPLE = "tf-wgsef report dense.keras small.keras --output report --test test.npz"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "before", help="the dense .keras file; or a report.json, or its folder, to show again"
    )
    parser.add_argument("after", nargs="?", help="the smaller .keras file")
    parser.add_argument("--output", help="folder for report.html, report.png and report.json")
    parser.add_argument("--test", help="an .npz file with x and y, for the accuracy of the files")
    parser.add_argument("--calibration", help="real inputs in an .npz or .npy file: adds an int8 file")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime")
    parser.add_argument("--overwrite", action="store_true", help="replace files in the output folder")


def run(arguments, out, err) -> dict:
    """Makes or reads the report, prints its table, writes its page."""
    from tf_wgsef.errors import InputError
    from tf_wgsef.output_files import check_new_folder, new_folder
    from tf_wgsef.report import load_report, render_table, save_report

    if arguments.before.endswith(".keras") and not arguments.after:
        raise InputError(
            f"Expected a second .keras file to compare with. Received: only {arguments.before!r}. "
            f"Example: {EXAMPLE}"
        )
    if arguments.output:
        check_new_folder(arguments.output, overwrite=arguments.overwrite)
    report = _make(arguments, err) if arguments.after else load_report(arguments.before)
    out.print(render_table(report))
    if arguments.output:
        save_report(report, new_folder(arguments.output, overwrite=arguments.overwrite))
        out.print(f"written to {arguments.output}", markup=False)
    return report.to_dict()


def _make(arguments, err):
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.workflows import TestData, compare_two_models
        from tf_wgsef.workflows._files import load_inputs, load_keras_model, load_labelled

        before, after = load_keras_model(arguments.before), load_keras_model(arguments.after)
        test = TestData(*load_labelled(arguments.test), name=arguments.test) if arguments.test else None
        calibration = load_inputs(arguments.calibration) if arguments.calibration else None
    return compare_two_models(
        before,
        after,
        title=f"{arguments.before} → {arguments.after}",
        command=f"tf-wgsef report {arguments.before} {arguments.after}",
        test=test,
        calibration=calibration,
        threads=arguments.threads,
        console=err,
    )
