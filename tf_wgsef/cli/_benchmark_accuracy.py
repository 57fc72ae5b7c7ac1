"""``tf-wgsef benchmark --accuracy``: the share of right answers, on the device where that can be computed."""

import functools

HERE = "local"


def add_accuracies(arguments, devices, err) -> str:
    """Gives each device's result the share of right answers of its files; returns why one is missing, or "".

    It comes last: TensorFlow, which it loads, would count as memory of the measurement. What was measured
    is kept whatever fails.

    Args:
        arguments: the parsed command line.
        devices: {``DeviceResult``: its target}.
        err: the console for progress.
    """
    from tf_wgsef.array_files import load_labelled
    from tf_wgsef.errors import InputError, MeasurementError

    try:
        x, y = load_labelled(arguments.accuracy)
    except InputError as error:  # inputs that are damaged are found here only
        return str(error)
    problems = {}
    here = functools.cache(lambda path: _here(path, x, y, arguments.threads))
    for result, target in devices.items():
        there = target.classifies and str(target) != HERE
        if not result.stats or (there and result.error):
            continue  # a device that was lost has said so
        result.accuracies_on = str(target) if there else HERE
        found = []
        for path in filter(None, (arguments.file, arguments.other)):
            try:
                with err.status(f"Computing accuracies on {target if there else 'this machine'}"):
                    found.append(_there(path, x, y, target, arguments.threads) if there else here(path))
            except (InputError, MeasurementError) as error:
                found.append(None)
                problems[str(error)] = None
            if there:
                say_kept(target, err)
        result.accuracies = tuple(found) if any(one is not None for one in found) else ()
    return " ".join(problems)


def say_kept(target, err) -> None:
    """Prints where files were left on a device, if they were.

    Args:
        target: the device.
        err: the console.
    """
    if getattr(target, "kept_folder", ""):
        err.print(f"Kept on {target}: {target.kept_folder}", markup=False, highlight=False, soft_wrap=True)


def _here(path, x, y, threads):
    from tf_wgsef.convert import accuracy

    return accuracy(path, x, y, threads=threads)


def _there(path, x, y, target, threads):
    from tf_wgsef.measure import measure_accuracy

    return measure_accuracy(path, x, y, target=target, threads=threads).share
