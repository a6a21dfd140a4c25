"""HTML: one self-contained file for whoever has to decide and whoever has to fix. Needs jinja2, of the [audit] extra."""

from .pages import MissingExtraError
from .report import HtmlFormat, PastRun

__all__ = ["HtmlFormat", "MissingExtraError", "PastRun"]
