"""``tf-wgsef inspect``: what a model costs, layer by layer, and what can be removed from it."""

SUMMARY = "Show parameters, MACs and removable channels of a Keras model, layer by layer, or as a picture."
EXAMPLE = "tf-wgsef inspect model.keras --graph channels.svg"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file")
    parser.add_argument(
        "--graph",
        metavar="FILE",
        help="also draw which channels hang together, what goes and why the rest stays: a .svg, .png or "
        ".pdf file",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file of --graph")


def run(arguments, out, err) -> dict:
    """Prints one line per layer, and draws the picture if asked."""
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
