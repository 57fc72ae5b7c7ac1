"""``tf-wgsef convert``: a Keras model to a ``.tflite`` file."""

SUMMARY = "Convert a Keras model to a .tflite file and check the file against the model."
EXAMPLE = "tf-wgsef convert small.keras --output small.tflite --quantization int8 --calibration x_train.npz"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("--output", required=True, help="the .tflite file to write")
    parser.add_argument(
        "--quantization",
        choices=("none", "float16", "dynamic", "int8"),
        default="none",
        help="kind of numbers",
    )
    parser.add_argument(
        "--calibration",
        help="real inputs in an .npz or .npy file (needed for int8), for instance a part of x_train",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output file")


def run(arguments, out, err) -> dict:
    """Converts the model and prints the size of the file and its difference to the model."""
    from tf_wgsef.errors import InputError
    from tf_wgsef.output_files import check_new_file, new_file

    if not arguments.output.endswith(".tflite"):
        raise InputError(f"Expected an --output that ends in .tflite. Received: {arguments.output!r}.")
    check_new_file(arguments.output, overwrite=arguments.overwrite)
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.convert import convert, parity
        from tf_wgsef.workflows._files import load_inputs, load_keras_model

        model = load_keras_model(arguments.model)
        inputs = load_inputs(arguments.calibration) if arguments.calibration else None
    with err.status("Converting and comparing outputs"):
        tflite = convert(model, quantization=arguments.quantization, calibration=inputs)
        difference = parity(model, tflite, inputs)
        with new_file(arguments.output, overwrite=arguments.overwrite) as path:
            path.write_bytes(tflite)
    out.print(f"{len(tflite):,} bytes written to {arguments.output}", markup=False)
    out.print(f"difference to the Keras model: {difference}", markup=False)
    return {
        "output": arguments.output,
        "bytes": len(tflite),
        "quantization": arguments.quantization,
        "max_abs_diff": difference.max_abs_diff,
        "output_range": difference.output_range,
        "top1_agreement": difference.top1_agreement,
    }
