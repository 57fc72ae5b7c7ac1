"""Pages that need nothing else: no network, no script, no second file."""

import base64
import importlib.metadata
import importlib.resources

import jinja2

from tf_wgsef.report import _format


def render_page(template: str, **values) -> str:
    """Fills a template of this package.

    Whatever came from a file (names, notes, versions) is escaped; the pages forbid themselves scripts
    and requests. All have one style sheet, and say which version of the package made them.

    Args:
        template: its file name.
        values: what the template shows.
    """
    files = importlib.resources.files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = _format.clean
    css = files.joinpath("page.css").read_text("utf-8")
    version = importlib.metadata.version("tf-wgsef")
    page = environment.get_template(template).render(css=css, version=version, **values)
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def data_address(png: bytes) -> str:
    """Returns a picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
