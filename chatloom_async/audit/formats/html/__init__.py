"""HTML: one self-contained file for those who decide and those who fix. Needs jinja2, of the [audit] extra."""

from .charts import PastRun
from .report import HtmlFormat

__all__ = ["HtmlFormat", "PastRun"]
