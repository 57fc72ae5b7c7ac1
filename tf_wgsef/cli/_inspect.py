"""``tf-wgsef inspect``: what a model costs, layer by layer, and what can be removed from it."""

SUMMARY = "Show parameters, MACs and removable channels of a Keras model, layer by layer."
EXAMPLE = "tf-wgsef inspect model.keras"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", help="a .keras file")


def run(arguments, out, err) -> dict:
    """Prints one line per layer."""
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.cli._files import load_keras_model
        from tf_wgsef.workflows import inspect_model

        inspection = inspect_model(load_keras_model(arguments.model))
    out.print(inspection.table())
    return inspection.to_dict()
