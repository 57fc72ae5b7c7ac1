"""The folder of a deployment: the stripped model, the files, their headers, and deploy.json."""

import dataclasses
import json
import os
import pathlib

from tf_wgsef.convert import c_array
from tf_wgsef.output_files import new_file, new_folder
from tf_wgsef.workflows._deployment import Deployment

_REPORT = "deploy.json"


def write_deployment(
    done: Deployment, output: str | os.PathLike, *, with_c_array: bool, overwrite: bool
) -> Deployment:
    """Writes it, and returns it with the paths of what was written.

    Args:
        done: what was made.
        output: a folder, new or empty unless ``overwrite``.
        with_c_array: whether to write a C header beside each file.
        overwrite: whether files may be replaced; those that an earlier deployment lists in its deploy.json,
            and this one does not have, are removed.

    Raises:
        OSError: if there is no room.
    """
    folder = new_folder(output, overwrite=overwrite)
    earlier = _listed(folder / _REPORT) if overwrite else set()
    paths = {"keras": folder / "stripped.keras"}
    with new_file(paths["keras"], overwrite=overwrite) as path:
        done.strip.model.save(path)
    for name, file in done.files.items():
        paths[name] = folder / f"model_{'float32' if name == 'none' else name}.tflite"
        with new_file(paths[name], overwrite=overwrite) as path:
            path.write_bytes(file)
        if with_c_array:
            paths[f"{name} header"] = header = paths[name].with_suffix(".h")
            with new_file(header, overwrite=overwrite) as path, path.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{line}\n" for line in c_array(file, header.stem))
    paths["report"] = folder / _REPORT
    written = {name: str(path) for name, path in paths.items()}
    done = dataclasses.replace(done, written=written)
    _write_report(done, paths["report"], overwrite)
    # Files of an earlier model beside this one would be taken for its own.
    for name in earlier - {path.name for path in paths.values()}:
        (folder / name).unlink(missing_ok=True)
    return done


def _listed(report: pathlib.Path) -> set[str]:
    """The names of the files and headers that a deploy.json lists; none if it is not there, or no such."""
    try:
        written = json.loads(report.read_text(encoding="utf-8"))["written"].values()
        names = {pathlib.PurePath(one).name for one in written}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
    return {name for name in names if name.startswith("model_") and name.endswith((".tflite", ".h"))}


def _write_report(done: Deployment, report: pathlib.Path, overwrite: bool) -> None:
    with new_file(report, overwrite=overwrite) as path:
        path.write_text(json.dumps(done.to_dict(), indent=1), encoding="utf-8")
