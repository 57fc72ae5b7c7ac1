"""``tf-wgsef demo``: everything once, on real handwritten digits."""

from tf_wgsef.output_files import check_new_folder

SUMMARY = "Train LeNet-5 on handwritten digits, dense and sparse; strip, convert, measure, report."
EXAMPLE = "tf-wgsef demo --output my_demo"


def add_arguments(parser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--output", default="tf_wgsef_demo", help="folder for models, files and report")
    parser.add_argument("--sparsity", type=float, default=0.75, help="share of each layer to remove")
    parser.add_argument("--seed", type=int, default=0, help="of weights, data order and split")
    parser.add_argument("--overwrite", action="store_true", help="replace files in the output folder")


def run(arguments, out, err) -> dict:
    """Runs the demo, prints its table and where its files are."""
    check_new_folder(arguments.output, overwrite=arguments.overwrite)
    with err.status("Loading Keras and TensorFlow"):
        from tf_wgsef.report import render_table
        from tf_wgsef.workflows import run_demo
    report = run_demo(
        arguments.output,
        sparsity=arguments.sparsity,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        console=err,
    )
    out.print(render_table(report))
    out.print(f"Models, files and the report are in {arguments.output}; open report.html", markup=False)
    return report.to_dict()
