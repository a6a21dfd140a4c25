"""Renders values to HTML with the templates in this directory. The only file that imports jinja2.

Every value is escaped by the engine, and every text goes through `visible` before that: a template can forget neither.
Style and script are the same in every report, so that the page's policy can name them by hash and allow nothing else.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ....wire.errors import needed_by
from ..ranking import counted
from ..text import visible

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = __name__.rpartition(".")[0]
STYLES = ("tokens.css", "page.css", "charts.css", "findings.css", "agents.css", "media.css")
SCRIPTS = ("filter.js", "sort.js", "address.js")
POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
    "img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; "
    "trusted-types chatloom-report"
)


def rendered(name: str, **values: Any) -> str:
    """The template's text. Raises MissingExtraError."""
    return environment().get_template(name).render(values)


@cache
def environment() -> "Environment":
    """Raises MissingExtraError if jinja2 is not installed."""
    with needed_by("The format html", "jinja2", extra="audit"):
        from jinja2 import Environment, PackageLoader, StrictUndefined
    made = Environment(
        loader=PackageLoader(HERE),
        autoescape=True,
        auto_reload=False,  # it would look at the file again for every row
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    made.filters["counted"] = counted
    return made


def assets() -> dict[str, str]:
    """Style, script, and the policy that allows them; marked as HTML, since they are this package's own."""
    from markupsafe import Markup

    style, script = (_joined(names) for names in (STYLES, SCRIPTS))
    policy = POLICY.format(style=_hash(style), script=_hash(script))
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}  # noqa: S704


def _joined(names: tuple[str, ...]) -> str:
    folder = files(HERE) / "templates"
    return "".join((folder / name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
