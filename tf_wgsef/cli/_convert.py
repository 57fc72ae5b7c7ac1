"""``tf-wgsef convert``: a Keras model to a ``.tflite`` file."""

import json

SUMMARY = "Convert a Keras model to a .tflite file and check the file against the model."
EXAMPLE = "tf-wgsef convert small.keras --output small.tflite --quantization int8 --calibration x_train.npz"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("--output", required=True, help="the .tflite file to write")
    parser.add_argument(
        "--quantization",
        default="none",
        metavar="MODE",
        help="none, float16, dynamic, int8, int16x8 (closer than int8, but slow on most processors), aware "
        "(int8 after training on with its rounding, on --train; needs the extra qat), or "
        'a JSON object of int8 and float by layer pattern: {"*": "int8", "head*": "float"}',
    )
    parser.add_argument("--train", help="for aware: an .npz file with x and y, as the model was trained on")
    parser.add_argument("--epochs", type=int, default=3, help="for aware: how long to train on")
    parser.add_argument(
        "--calibration",
        help="real inputs in an .npz or .npy file (int8 and int16x8 need them), such as a part of x_train",
    )
    parser.add_argument(
        "--io",
        choices=("int8", "int16", "float32"),
        help="type of inputs and outputs of an int8 or int16x8 file: integers unless float32 is given",
    )
    parser.add_argument(
        "--sparse",
        action="store_true",
        help="store weights that are mostly zero as such (none and float16): smaller; faster on ARM at best",
    )
    parser.add_argument("--test", help="an .npz file with x and y: the file's accuracy is taken on it")
    parser.add_argument(
        "--metadata",
        help="a JSON file to store in the output: labels, normalization (mean, std), sparsity",
    )
    parser.add_argument("--c-array", metavar="FILE", help="also write a C header (.h) for microcontrollers")
    parser.add_argument(
        "--force", action="store_true", help="write the file even if it does not compute what the model does"
    )
    parser.add_argument(
        "--allow-flex",
        action="store_true",
        help="let the file hold TensorFlow's own operators (Flex); LiteRT cannot run them, so nothing is "
        "proven of such a file, and it is written only with --force",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output files")


def run(arguments, out, err) -> dict:
    """Converts the model and prints what the file holds and its difference to the model."""
    from tf_wgsef.errors import InputError
    from tf_wgsef.memory import use_little_memory
    from tf_wgsef.output_files import check_new_file

    for path, ending in ((arguments.output, ".tflite"), (arguments.c_array, ".h")):
        if path is not None:
            check_ending(path, ending)
            check_new_file(path, overwrite=arguments.overwrite)
    if arguments.quantization == "aware":
        return _train_and_write(arguments, out, err)
    if arguments.train:
        raise InputError("Expected --train with --quantization aware only. Received: it without.")
    quantization = parse_quantization(arguments.quantization)
    use_little_memory()
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.convert import convert
        from tf_wgsef.workflows._files import load_inputs, load_json, load_keras_model, load_labelled

        model = load_keras_model(arguments.model)
        inputs = load_inputs(arguments.calibration) if arguments.calibration else None
        test = load_labelled(arguments.test) if arguments.test else None
        metadata = load_json(arguments.metadata) if arguments.metadata else None
    with err.status("Converting and comparing outputs"):
        tflite = convert(
            model,
            quantization=quantization,
            calibration=inputs,
            io=arguments.io,
            sparse=arguments.sparse,
            test=test,
            metadata=metadata,
            force=arguments.force,
            allow_flex=arguments.allow_flex,
        )
    _write(tflite, arguments)
    out.print(tflite.report(), markup=False, highlight=False)
    out.print(f"written to {arguments.output}", markup=False, soft_wrap=True)
    return _values(tflite, arguments)


def _train_and_write(arguments, out, err) -> dict:
    """Trains on with the rounding of int8, writes the file and prints how far it is from the model."""
    from rich.progress import Progress

    from tf_wgsef.errors import InputError

    others = ("calibration", "sparse", "force", "allow_flex")
    names = {name: f"--{name.replace('_', '-')}" for name in others}
    given = [names[name] for name in others if getattr(arguments, name)]
    if given or not arguments.train:
        raise InputError(
            f"Expected --train with arrays x and y for --quantization aware, and none of "
            f"{', '.join(names.values())}. Received: {' '.join(given) or 'no --train'}."
        )
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.convert.aware import convert_aware
        from tf_wgsef.workflows._files import load_json, load_keras_model, load_labelled

        model, train = load_keras_model(arguments.model), load_labelled(arguments.train)
        test = load_labelled(arguments.test) if arguments.test else None
        metadata = load_json(arguments.metadata) if arguments.metadata else None
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def progress(now):
            epoch = "" if now.loss is None else f" {now.epoch}/{now.epochs}, loss {now.loss:.3g}"
            bar.update(task, completed=now.share, description=f"{now.stage}{epoch}")

        options = {"epochs": arguments.epochs, "io": arguments.io, "progress": progress}
        tflite = convert_aware(model, train, test=test, metadata=metadata, **options)
    _write(tflite, arguments)
    out.print(tflite.report(), markup=False, highlight=False)
    out.print(f"written to {arguments.output}", markup=False, soft_wrap=True)
    return _values(tflite, arguments)


def check_ending(path: str, ending: str) -> None:
    """Raises unless an output file ends as it should.

    Args:
        path: what the user passed.
        ending: such as ``.tflite``.

    Raises:
        InputError: if it does not.
    """
    from tf_wgsef.errors import InputError

    if not path.endswith(ending):
        raise InputError(f"Expected an output file that ends in {ending}. Received: {path!r}.")


def parse_quantization(text: str):
    """Returns a mode's name, or the dict of a JSON object.

    Args:
        text: what the user passed.

    Raises:
        InputError: if it begins like JSON and is none.
    """
    from tf_wgsef.errors import InputError

    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Expected a mode, or a JSON object such as "
            f'\'{{"*": "int8", "head*": "float"}}\'. Received: {text!r:.200} ({error}).'
        ) from error


def _write(tflite, arguments) -> None:
    from tf_wgsef.convert import c_array
    from tf_wgsef.output_files import new_file

    with new_file(arguments.output, overwrite=arguments.overwrite) as path:
        path.write_bytes(tflite)
    if arguments.c_array:
        with new_file(arguments.c_array, overwrite=arguments.overwrite) as path, path.open("w") as file:
            file.writelines(f"{line}\n" for line in c_array(tflite))


def _values(tflite, arguments) -> dict:
    record = tflite.record
    figures = ("max_abs_diff", "output_range", "top1_agreement")
    return {
        "output": arguments.output,
        "bytes": len(tflite),
        **{name: getattr(record.parity, name, None) for name in figures},
        **record.to_dict(),
    }
