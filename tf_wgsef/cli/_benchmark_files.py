"""The files that ``tf-wgsef benchmark`` writes: raw samples, a page, a picture."""

import shlex

_ENDINGS = {"samples": ".csv", "html": ".html", "plot": ".png"}


def add_file_options(parser) -> None:
    """Adds the options of ``write_files``."""
    parser.add_argument("--samples", metavar="FILE", help="write every timed run there: a .csv file")
    parser.add_argument("--html", metavar="FILE", help="write a page with tables and pictures: a .html file")
    parser.add_argument("--plot", metavar="FILE", help="write the picture alone: a .png file")
    parser.add_argument("--overwrite", action="store_true", help="replace the output files")


def check_files(arguments) -> None:
    """Checks before long work that the files can be written.

    Raises:
        InputError: if one cannot.
    """
    from tf_wgsef.errors import InputError
    from tf_wgsef.output_files import check_new_file

    for option, ending in _ENDINGS.items():
        path = getattr(arguments, option)
        if path is not None and not path.endswith(ending):
            raise InputError(f"Expected a file that ends in {ending}. Received: {path!r}.")
        if path is not None:
            check_new_file(path, overwrite=arguments.overwrite)


def write_files(arguments, results, out, err) -> None:
    """Writes the files that were asked for; a device without any figure is left out.

    Args:
        arguments: the parsed command line.
        results: a ``DeviceResult`` per device; one at least measured something.
        out: the console for what was written.
        err: the console for progress.
    """
    paths = {option: getattr(arguments, option) for option in _ENDINGS}
    if not any(paths.values()):
        return
    with err.status("Writing"):
        from tf_wgsef.output_files import new_file
        from tf_wgsef.report import render_devices_html, render_devices_png, write_samples

        devices = [one.shown() for one in results if one.stats]
        failed = {one.target: one.error for one in results if not one.stats}
        if paths["samples"]:
            with new_file(paths["samples"], overwrite=arguments.overwrite) as path:
                count = write_samples(path, devices)
            silent = [one.target for one in devices if not all(file.samples.size for file in one.files)]
            missing = f"; benchmark_model tells no single runs ({', '.join(silent)})" if silent else ""
            _say(out, paths["samples"], f": {count} runs{missing}")
        if paths["html"]:
            facts = {"command": _command(arguments), "preset": arguments.preset}
            page = render_devices_html(devices, title=_title(arguments), facts=facts, failed=failed)
            with new_file(paths["html"], overwrite=arguments.overwrite) as path:
                path.write_text(page, encoding="utf-8")
            _say(out, paths["html"])
        if paths["plot"]:
            with new_file(paths["plot"], overwrite=arguments.overwrite) as path:
                path.write_bytes(render_devices_png(devices))
            _say(out, paths["plot"])


def _say(out, path, more=""):
    out.print(f"Written to {path}{more}.", markup=False, highlight=False, soft_wrap=True)


def _title(arguments):
    return f"{arguments.file} against {arguments.other}" if arguments.other else arguments.file


def _command(arguments):
    """What another person would type to measure the same; not which files were written."""
    words = ["tf-wgsef", "benchmark", arguments.file, *([arguments.other] if arguments.other else [])]
    for target in arguments.target or ["local"]:
        words += ["--target", target]
    words += ["--preset", arguments.preset, "--threads", str(arguments.threads)]
    words += ["--seconds", str(arguments.seconds)] if arguments.seconds is not None else []
    words += ["--cores", str(arguments.cores).strip("[]").replace(" ", "")] if arguments.cores else []
    words += ["--python", arguments.python] if arguments.python else []
    words += ["--benchmark-model", arguments.benchmark_model] if arguments.benchmark_model else []
    words += ["--operators"] if arguments.operators else []
    words += ["--fail-above", arguments.fail_above] if arguments.fail_above is not None else []
    words += ["--accuracy", arguments.accuracy] if arguments.accuracy else []
    return shlex.join(words)
