"""HTML: one self-contained file for those who decide and those who fix. Needs jinja2, of the [audit] extra."""

from .report import HtmlFormat, PastRun

__all__ = ["HtmlFormat", "PastRun"]
