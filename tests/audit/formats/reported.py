"""A small audit to report on, what hostile tenants would write, and how a whole report is made and compared."""

from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from chatloom_async import Agent
from chatloom_async.audit import AuditedAgent, Failure, Finding, Row, Summary
from chatloom_async.audit.formats.interface import Format
from chatloom_async.audit.formats.text import RuleTexts
from chatloom_async.audit.values import make_finding
from tests.samples import KEY

NOW = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
SALES = Agent(
    id="agt_abc123",
    name="Sales Assistant",
    primary_color="#611F69",
    secondary_color="#764ba2",
    position="bottom-right",
    template="modern",
    status="active",
    created_at=datetime(2026, 1, 15, 9, tzinfo=UTC),
)
PALE = evolve(SALES, id="agt_pale", name="Size Guide", primary_color="purple", secondary_color="#FFE066")
GLASS = evolve(SALES, id="agt_glass", name="Product Advisor", primary_color="#11223344", secondary_color="#949494")
TEXTS: RuleTexts = {
    "domain-wildcard": ("error", "Sites that nobody approved can show it.", "List the host names one by one."),
    "domains-empty": ("warning", "What an empty list means is not documented.", "List the sites."),
}
WILDCARD = make_finding(
    "acme", "domain-wildcard", "error", agent_id="agt_abc123", subject="*.com", message='"*.com" is a wildcard.'
)
EMPTY = make_finding(
    "acme", "domains-empty", "warning", agent_id="agt_glass", subject="Product Advisor", message="No domain."
)
SHARED = make_finding(
    "", "domain-shared", "info", agent_id=None, subject="example.com", message="Also allowed elsewhere."
)
ROWS = (
    Row("birch", "ok", (AuditedAgent(SALES, ("example.com",)),), (), None, 2),
    Row(
        "acme",
        "ok",
        (AuditedAgent(SALES, ("example.com", "*.com")), AuditedAgent(GLASS, ())),
        (WILDCARD, EMPTY, SHARED),
        None,
        3,
    ),
    Row("cedar", "failed", error=Failure("AuthenticationError", "HTTP 401: Invalid API key."), requests=1),
    Row(
        "fjord",
        "partial",
        (AuditedAgent(SALES, None, Failure("ServerError", "HTTP 500: Oops.")), AuditedAgent(PALE, None)),
        (SHARED,),
        Failure("ServerError", "1 of 2 agents could not be read."),
        7,
    ),
)

HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "style": "</style><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=alert(1) x='",
    "comment": "<!-- --><![CDATA[ ]]> ]]>",
    "css": "red;background:url(https://evil.example/x.png)",
    "color": "#fff;}*{display:none}",
    "address": "javascript:alert(1)",
    "template": "{{ 7 * 7 }}{% raw %}",
    "formula": '=HYPERLINK("http://evil.example","click")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3",
    "at": "@SUM(1,1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "full width": "\uff1d1+1",
    "quote": '"\r\n"=1+1,"',
    "ansi": "\x1b[31mred\x1b]0;title\x07",
    "right to left": "evil\u202egnp.exe",
    "isolate": "\u2066evil\u2069\u200b",
    "not xml": "\x00\x08\ufffe\uffff",
    "surrogate": "\ud800",
    "lines": "one\ntwo\r\nthree\u2028four",
    "command": "\n::set-output name=x::y\n##[error]x",
    "percent": "100%0A::error::x",
    "table": "a | b |\n| --- | --- |",
    "markup": "**bold** _it_ `code` ~~gone~~ # $x$ <b>html</b>",
    "link": "[click](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example>",
    "auto link": "https://evil.example www.evil.example mail@evil.example",
    "mention": "@everyone #1 GH-1 org/repo#1",
    "backticks": "``` ` ```` x",
    "code edge": "`",
    "placeholder": "{0} [text](1)",
    "key": KEY,
}
"""By what it tries to do."""


def hostile_rows(text: str) -> tuple[Row, ...]:
    """A row in which everything that comes from outside is the text."""
    agent = evolve(SALES, id=text, name=text, template=text, position=text, status=text)
    agent = evolve(agent, primary_color=text, secondary_color=text)
    found = Finding(text, text, "error", text, text, text)
    other = Finding(f"{text}2", text, "error", None, text, f"Something else: {text}")
    failure = Failure(text, text)
    return (Row(text, "partial", (AuditedAgent(agent, (text,), failure),), (found, other), failure, 1),)


def written(form: Format, rows: tuple[Row, ...] = ROWS, *, interrupted: bool = False) -> str:
    """All of a report."""
    summary = Summary()
    for row in rows:
        summary.add(row)
    summary.interrupted = interrupted
    return "".join(form.pieces(rows, summary))


def golden(name: str, text: str) -> str:
    """What is expected. Delete the file to have it written anew, and look at the difference."""
    path = Path(__file__).parent / "golden" / name
    if not path.exists():  # pragma: no cover
        path.write_text(text, "utf-8", newline="\n")
        raise AssertionError(f"{path} is new: look at it, and run the test again")
    return path.read_text("utf-8")
