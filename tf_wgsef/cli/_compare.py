"""``tf-wgsef compare``: methods against each other on one network and one set of data."""

from tf_wgsef.cli._partly import PartlyDoneError

SUMMARY = "Train a network with several methods at equal levels, and compare accuracy, size and latency."
EXAMPLE = "tf-wgsef compare --recipe lenet5-digits --methods wgsef magnitude narrow --levels 0.75 0.9"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("config", nargs="?", help="a TOML file with the settings; options below win over it")
    parser.add_argument("--output", default="tf_wgsef_compare", help="folder for the runs, table and page")
    parser.add_argument("--recipe", help="network and data, such as lenet5-mnist; --list shows all")
    parser.add_argument("--model", help="a .keras file of your own, a classifier, instead of a recipe")
    parser.add_argument("--data", help="its .npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--pretrained", action="store_true", help="start from the weights of --model")
    parser.add_argument("--methods", nargs="+", help="such as wgsef ssl magnitude; --list shows all")
    parser.add_argument("--levels", nargs="+", type=float, help="shares to remove")
    parser.add_argument("--shape", nargs="+", metavar="LAYER=K,…", help="groups to leave, conv1=3,conv2=12")
    parser.add_argument(
        "--groups", metavar="KIND", help='filter, depth, …, or by name: "block1*=depth,*=filter"'
    )
    parser.add_argument("--unit", choices=("groups", "macs", "params", "bytes"), help="of the levels")
    parser.add_argument("--seeds", nargs="+", type=int, help="each method runs with every one")
    parser.add_argument("--epochs", type=int, help="in all, before and after the cut")
    parser.add_argument("--samples", type=int, help="the first so many training images (all if not given)")
    parser.add_argument("--precision", choices=("mixed_bfloat16", "mixed_float16"), help="while training")
    parser.add_argument("--optimizer", choices=("sgd", "conv_muon"), help="of all methods (default: sgd)")
    parser.add_argument("--minutes", type=float, help="stop after so many; the same command goes on there")
    parser.add_argument("--no-latency", action="store_true", help="do not measure the files")
    parser.add_argument("--no-dense", action="store_true", help="do not train the whole network beside them")
    parser.add_argument("--models", action="store_true", help="save the network of every run that is made")
    parser.add_argument("--report-only", action="store_true", help="train nothing: show what is there")
    parser.add_argument("--list", action="store_true", help="show the recipes and methods, and end")


_OPTIONS = ("recipe", "model", "data", "methods", "levels", "groups", "unit", "seeds", "epochs")
_OPTIONS += ("samples", "precision", "optimizer")


def run(arguments, out, err) -> dict:
    """Runs what is missing, prints the table."""
    with err.status("Loading Keras"):
        from tf_wgsef.errors import InputError
        from tf_wgsef.report import render_methods_table
        from tf_wgsef.workflows.compare import METHODS, RECIPES, compare_methods, load_settings, read_settings
    if arguments.list:
        for name in RECIPES:
            out.print(f"recipe  {name}", highlight=False)
        for name, method in METHODS.items():
            out.print(f"method  {name:<22}{method.label}; {method.source}", highlight=False)
        return {"recipes": list(RECIPES), "methods": {name: one.label for name, one in METHODS.items()}}
    base = {} if arguments.config is None else vars(load_settings(arguments.config))
    given = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name) is not None}
    if arguments.shape:
        given["shapes"] = arguments.shape
    if not (base or given or arguments.report_only):
        raise InputError(f"Expected a recipe, a model of your own, or a file of settings. Example: {EXAMPLE}")
    if arguments.recipe and (arguments.model or arguments.data):
        raise InputError("Expected --recipe, or --model with --data. Received: both. Leave one of them out.")
    if arguments.shape or arguments.levels:  # the file's levels and shapes give way together
        base = {name: value for name, value in base.items() if name not in ("levels", "shapes")}
    if arguments.recipe:  # it wins over a model in the file, as all options do
        base = {**base, "model": None, "data": None, "pretrained": False}
    if arguments.pretrained:
        given["pretrained"] = True
    if arguments.models:
        given["models"] = True
    if arguments.no_latency:
        given["latency"] = False
    if arguments.no_dense:
        given["dense"] = False
    try:
        comparison = compare_methods(
            read_settings({**base, **given}) if base or given else None,
            output=arguments.output,
            report_only=arguments.report_only,
            minutes=arguments.minutes,
            console=err,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on where it stopped") from None
    if comparison.runs:
        out.print(render_methods_table(comparison.rows, comparison.title))
        where = f"The page, the table and every run are in {arguments.output}; open compare.html"
        out.print(where, markup=False)
    settings = comparison.settings if comparison.runs else {}
    values = {"settings": settings, "runs": comparison.runs, "missing": comparison.missing}
    if comparison.failed:
        raise PartlyDoneError(
            f"Runs without a result: {comparison.failed}, see above. The same command tries them again.",
            values,
        )
    return values
