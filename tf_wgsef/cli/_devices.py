"""The options of all commands that measure: how devices are reached and used."""


def add_device_options(parser) -> None:
    """Adds the options of ``open_target``."""
    device = parser.add_argument_group("devices")
    device.add_argument(
        "--cores", type=_cores, help="big, or the numbers of the cores to run on, as in 4,5,6,7"
    )
    device.add_argument("--ssh-config", help="a configuration file for ssh, instead of ~/.ssh/config")
    device.add_argument("--python", default="python3", help="the Python on a board: a name, or a path there")
    device.add_argument(
        "--benchmark-model",
        help="the native tool: for a phone a file here, which is copied there; for a board its path there, "
        "instead of Python",
    )


def open_target(name: str, arguments):
    """Returns the target of this name with the options that were given.

    Args:
        name: "local", "ssh://user@host:port" or "adb:serial".
        arguments: the parsed command line.

    Raises:
        InputError: if the name or an option is not what was expected.
    """
    from tf_wgsef.measure import resolve_target

    names = ("cores", "keep", "ssh_config", "python", "benchmark_model")
    given = vars(arguments)
    return resolve_target(name, **{option: given[option] for option in names if option in given})


def _cores(text):
    return text if text == "big" else [int(part) for part in text.split(",")]
