"""``tf-wgsef inspect``: what a model costs, layer by layer, and what can be removed from it."""

SUMMARY = (
    "Show parameters, MACs and removable channels of a Keras model, layer by layer, or as a picture; or the "
    "operators, sizes and metadata of a .tflite file."
)
EXAMPLE = "tf-wgsef inspect model.keras --graph channels.svg"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras or .tflite file")
    parser.add_argument(
        "--graph",
        metavar="FILE",
        help="also draw which channels hang together, what goes and why the rest stays: a .svg, .png or "
        ".pdf file",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --graph")


def run(arguments, out, err) -> dict:
    """Prints one line per layer, and draws the picture if asked."""
    if arguments.model.endswith(".tflite"):
        return _inspect_file(arguments, out)
    if arguments.graph:
        from tf_wgsef.report import check_graph_file

        check_graph_file(arguments.graph, overwrite=arguments.overwrite)
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.workflows import inspect_model
        from tf_wgsef.workflows._files import load_keras_model

        model = load_keras_model(arguments.model)
    with err.status("Inspecting"):
        inspection = inspect_model(model, graph_file=arguments.graph, overwrite=arguments.overwrite)
    out.print(inspection.table())
    if not arguments.graph:
        return inspection.to_dict()
    out.print(f"graph written to {arguments.graph}", markup=False)
    return {**inspection.to_dict(), "graph": arguments.graph}


def _inspect_file(arguments, out) -> dict:
    from tf_wgsef.errors import InputError
    from tf_wgsef.workflows import contents_view, inspect_file

    if arguments.graph:
        raise InputError("Expected a .keras file with --graph. Received: a .tflite file.")
    contents = inspect_file(arguments.model)
    out.print(contents_view(contents))
    return contents.to_dict()
