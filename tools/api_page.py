"""Writes docs/api.md: the public names, stage by stage, each with the first sentence of its docstring.

    python tools/api_page.py

The tests compare the page with what this would write.
"""

import importlib
import inspect
import pathlib
import re

import tf_wgsef

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "api.md"

_STAGES = {
    "Train to a level": ["training"],
    "Penalties": ["penalties"],
    "Groups, costs, rules": ["groups", "graph", "rules"],
    "Strip": ["strip"],
    "Convert": ["convert", "convert.aware"],
    "Measure": ["measure", "workflows.latency"],
    "Stages in sequence": ["workflows", "workflows.compare", "report"],
    "Errors": ["errors"],
    "Rivals with a layer, a loss or a callback of their own": ["baselines"],
}
_WHOLE = ("baselines", "errors")
"""Of these the user sees all names; of the others those of ``tf_wgsef`` itself, and the following."""

_BESIDE = {
    "convert": ["c_array", "read_contents", "read_metadata", "weights_hash"],
    "measure": ["AdbTarget", "LocalTarget", "SSHTarget", "SamplingPlan", "measure_interleaved"],
    "workflows": ["inspect_file", "inspect_model"],
    "workflows.compare": ["Recipe", "Settings"],
}

_HEAD = """# The public names

Made by `python tools/api_page.py` from the docstrings, which say more: arguments, shapes, units, errors, an
example (`help(tf_wgsef.sparsify)`). What the stages are for is in [concepts](concepts.md).
"""


def page() -> str:
    """The text of docs/api.md."""
    return "\n".join([_HEAD, *(_section(title, stages) for title, stages in _STAGES.items())])


def _section(title: str, stages: list[str]) -> str:
    rows = [row for stage in stages for row in _rows(stage)]
    return "\n".join([f"## {title}", "", "| name | what it is |", "|---|---|", *rows, ""])


def _rows(stage: str) -> list[str]:
    module = importlib.import_module(f"tf_wgsef.{stage}")
    top = [name for name in tf_wgsef.__all__ if _home(getattr(module, name, None)) == stage]
    beside = _all_names(module) if stage in _WHOLE else _BESIDE.get(stage, [])
    rows = {f"tf_wgsef.{name}": getattr(module, name) for name in top}
    rows |= {f"tf_wgsef.{stage}.{name}": getattr(module, name) for name in beside if name not in top}
    return [f"| `{name}` | {_first_sentence(thing)} |" for name, thing in rows.items()]


def _home(thing) -> str | None:
    """The innermost stage that a class or function is defined in."""
    module = getattr(thing, "__module__", "")
    stages = [
        stage
        for group in _STAGES.values()
        for stage in group
        if f"{module}.".startswith(f"tf_wgsef.{stage}.")
    ]
    return max(stages, key=len, default=None)


def _all_names(module) -> list[str]:
    return sorted(
        name
        for name, thing in vars(module).items()
        if _home(thing) and not name.startswith("_") and inspect.getdoc(thing)
    )


def _first_sentence(thing) -> str:
    text = " ".join(inspect.getdoc(thing).split("\n\n")[0].split())
    sentence = re.match(r".*?(?<!et al)\.(?=\s|$)", text)
    return (sentence[0] if sentence else text).rstrip(".:").replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
