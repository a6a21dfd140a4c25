"""HTML: one self-contained file for those who decide and those who fix. Needs jinja2, of the [audit] extra."""

from .pages import MissingExtraError
from .report import HtmlFormat, PastRun

__all__ = ["HtmlFormat", "MissingExtraError", "PastRun"]
