"""One job, from its folder to its results; what goes wrong is reported as an event."""

import json
import os
import pathlib
import sys
import threading
import time

from tf_wgsef.keras2._refusal import Refusal, first_line


def run(folder: pathlib.Path) -> int:
    """Does the job of ``folder`` and returns the exit status.

    Standard output carries events only: what libraries print goes to standard error.

    Args:
        folder: holds job.json, weights.npz and samples.npz, and takes the results.
    """
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def report(**event):
        print(json.dumps(event), file=events, flush=True)

    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        from tf_wgsef.keras2._jobs import do_job

        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        report(event="stage", stage="load Keras 2")
        do_job(job, folder, sys.stdin.buffer, report)
        report(event="done")
        return 0
    except Refusal as error:
        report(event="refused", what=error.what, problems=error.problems)
    except ModuleNotFoundError as error:
        report(event="missing", module=error.name)
    except Exception as error:  # noqa: BLE001 - the caller's process says it in one line
        import traceback

        traceback.print_exc()
        report(event="failed", reason=f"{type(error).__name__}: {first_line(error)}")
    return 1


def _end_with_the_caller() -> None:
    """Ends this process when its parent is gone: nobody would stop it any more."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(2.0)
    os._exit(1)
