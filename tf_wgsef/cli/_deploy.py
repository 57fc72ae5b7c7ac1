"""``tf-wgsef deploy``: a trained model to proven files in one call."""

from tf_wgsef.cli._convert import parse_quantization
from tf_wgsef.cli._devices import add_device_options, check_device_options, open_target
from tf_wgsef.cli._partly import PartlyDoneError

SUMMARY = "Strip a Keras model, convert it in each mode, check and measure the files, and write them all."
EXAMPLE = "tf-wgsef deploy model.keras --calibration x_train.npz --test test.npz --output deployed"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file; it is not changed")
    parser.add_argument("--output", required=True, help="the folder to write, new or empty")
    parser.add_argument(
        "--calibration", help="real inputs in an .npz or .npy file; with them there is an int8 file"
    )
    parser.add_argument("--test", help="an .npz file with x and y, for the accuracy of each file")
    parser.add_argument(
        "--quantization",
        nargs="+",
        metavar="MODE",
        help="as tf-wgsef convert takes them, aware too; none, and int8 with --calibration, if not given",
    )
    parser.add_argument("--train", help="for aware: an .npz file with x and y, as the model was trained on")
    parser.add_argument("--epochs", type=int, default=3, help="for aware: how long to train on")
    parser.add_argument(
        "--round-to", type=int, default=1, metavar="N", help="keep a multiple of N filters or units"
    )
    parser.add_argument(
        "--io", choices=("int8", "int16", "float32"), help="inputs and outputs of integer files"
    )
    parser.add_argument(
        "--sparse",
        action="store_true",
        help="store float weights that are mostly zero as such, and measure what it gains",
    )
    parser.add_argument("--metadata", help="a JSON file to store in the files: labels, normalization, …")
    parser.add_argument("--c-array", action="store_true", help="also write C headers for microcontrollers")
    parser.add_argument("--no-latency", action="store_true", help="do not measure the files")
    parser.add_argument("--target", default="local", help="where to measure: local, ssh://user@host or adb")
    parser.add_argument("--force", action="store_true", help="go on with a file that fails its check")
    parser.add_argument("--overwrite", action="store_true", help="replace files in the folder")
    add_device_options(parser)


def run(arguments, out, err) -> dict:
    """Deploys the model and prints what went and one line per file."""
    from tf_wgsef.memory import use_little_memory
    from tf_wgsef.output_files import check_new_folder

    check_new_folder(arguments.output, overwrite=arguments.overwrite)
    check_device_options([arguments.target], arguments)
    target = open_target(arguments.target, arguments)
    modes = [parse_quantization(text) for text in arguments.quantization or ()]
    if arguments.no_latency:  # it would show in the times
        use_little_memory()
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.workflows import deploy
        from tf_wgsef.workflows._files import load_inputs, load_json, load_keras_model, load_labelled

        model = load_keras_model(arguments.model)
        inputs = load_inputs(arguments.calibration) if arguments.calibration else None
        test = load_labelled(arguments.test) if arguments.test else None
        train = load_labelled(arguments.train) if arguments.train else None
        metadata = load_json(arguments.metadata) if arguments.metadata else None
    done = deploy(
        model,
        calibration=inputs,
        test=test,
        quantization=modes or None,
        output=arguments.output,
        round_to=arguments.round_to,
        io=arguments.io,
        sparse=arguments.sparse,
        metadata=metadata,
        with_c_array=arguments.c_array,
        latency=not arguments.no_latency,
        target=target,
        train=train,
        epochs=arguments.epochs,
        force=arguments.force,
        overwrite=arguments.overwrite,
        console=err,
    )
    out.print(done.report(), markup=False, highlight=False)
    out.print(done.table())
    out.print(f"written to {arguments.output}", markup=False, soft_wrap=True)
    if done.not_measured:
        raise PartlyDoneError(f"The files are written, but not measured: {done.not_measured}", done.to_dict())
    return done.to_dict()
