"""``tf-wgsef strip``: remove what is zero from a Keras model."""

SUMMARY = "Remove every channel that does not matter; the outputs stay the same, and that is checked."
EXAMPLE = "tf-wgsef strip sparse.keras --output small.keras --round-to 8"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file; it is not changed")
    parser.add_argument("--output", required=True, help="the .keras file to write")
    parser.add_argument(
        "--round-to",
        type=int,
        default=1,
        metavar="N",
        help="keep a few silent channels, so that layers have a multiple of N filters or units",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")


def run(arguments, out, err) -> dict:
    """Strips the model and prints what went and what stayed."""
    from tf_wgsef.errors import InputError
    from tf_wgsef.output_files import check_new_file, new_file

    if not arguments.output.endswith(".keras"):
        raise InputError(f"Expected an --output that ends in .keras. Received: {arguments.output!r}.")
    check_new_file(arguments.output, overwrite=arguments.overwrite)
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.graph import profile
        from tf_wgsef.strip import strip
        from tf_wgsef.workflows._files import load_keras_model

        model = load_keras_model(arguments.model)
    with err.status("Stripping and comparing outputs"):
        result = strip(model, round_to=arguments.round_to)
        before, after = profile(model), profile(result.model)
        with new_file(arguments.output, overwrite=arguments.overwrite) as path:
            result.model.save(path)
    out.print(result.report(), markup=False, highlight=False)
    if not result.changed:
        out.print("Nothing to remove: every channel matters. Train with tf_wgsef.sparsify first.")
    out.print(
        f"parameters {before.parameters:,} → {after.parameters:,}, MACs {before.macs:,} → {after.macs:,}; "
        f"written to {arguments.output}",
        markup=False,
    )
    return {
        "removed": result.removed,
        "kept": result.kept,
        "skipped": result.skipped,
        "vanished": list(result.vanished),
        "windows": {layer.name: layer.window for layer in result.layers if layer.window},
        "max_abs_diff": result.max_abs_diff,
        "output_range": result.output_range,
        "parameters": {"before": before.parameters, "after": after.parameters},
        "macs": {"before": before.macs, "after": after.macs},
        "output": arguments.output,
    }
