"""Rows as text for programs: JSON Lines, and one JSON document."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from attrs import evolve

from chatloom_async import Agent, ApiKey
from chatloom_async.audit import AuditedAgent, Failure, KeyEnv, KeyFile, Row, Summary, Workspace
from chatloom_async.audit.document import row_document, workspace_document
from chatloom_async.audit.formats.data import JsonFormat, JsonLinesFormat
from chatloom_async.audit.formats.interface import Format
from chatloom_async.audit.values import make_finding
from chatloom_async.wire.encode import json_text
from tests.samples import KEY

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
GONE = make_finding(
    "acme", "agent-gone", "info", agent_id="agt_abc123", subject="Sales Assistant", message="It is gone."
)
ROWS = (
    Row("acme", "ok", (AuditedAgent(SALES, ("example.com", "support.example.com")),), (), None, 2),
    Row("birch", "ok", (AuditedAgent(SALES, None),), (GONE,), None, 2),
    Row("cedar", "failed", error=Failure("AuthenticationError", "HTTP 401: Invalid API key."), requests=1),
    Row(
        "acacia",
        "partial",
        (AuditedAgent(SALES, None, Failure("ServerError", "HTTP 500: Oops.")),),
        error=Failure("ServerError", "1 of 1 agents could not be read."),
        requests=7,
    ),
)
AGENT_DOCUMENT = {
    "id": "agt_abc123",
    "name": "Sales Assistant",
    "primary_color": "#611F69",
    "secondary_color": "#764ba2",
    "position": "bottom-right",
    "template": "modern",
    "status": "active",
    "created_at": "2026-01-15T09:00:00.000Z",
}
DOCUMENTS = [
    {
        "workspace": "acme",
        "state": "ok",
        "agents": [{**AGENT_DOCUMENT, "domains": ["example.com", "support.example.com"], "error": None}],
        "findings": [],
        "error": None,
        "requests": 2,
    },
    {
        "workspace": "birch",
        "state": "ok",
        "agents": [{**AGENT_DOCUMENT, "domains": None, "error": None}],
        "findings": [
            {
                "id": GONE.id,
                "rule": "agent-gone",
                "severity": "info",
                "agent_id": "agt_abc123",
                "subject": "Sales Assistant",
                "message": "It is gone.",
            }
        ],
        "error": None,
        "requests": 2,
    },
    {
        "workspace": "cedar",
        "state": "failed",
        "agents": [],
        "findings": [],
        "error": {"type": "AuthenticationError", "message": "HTTP 401: Invalid API key."},
        "requests": 1,
    },
    {
        "workspace": "acacia",
        "state": "partial",
        "agents": [{**AGENT_DOCUMENT, "domains": None, "error": {"type": "ServerError", "message": "HTTP 500: Oops."}}],
        "findings": [],
        "error": {"type": "ServerError", "message": "1 of 1 agents could not be read."},
        "requests": 7,
    },
]
SUMMARY = {
    "workspaces": {"total": 4, "ok": 2, "partial": 1, "failed": 1},
    "agents": {"total": 3, "read": 1, "unread": 1, "gone": 1},
    "domains": 2,
    "findings": {"total": 1, "error": 0, "warning": 0, "info": 1},
    "requests": 12,
    "interrupted": False,
}
EVIL = "\x1b[31m[bold]evil[/]\u202e\x9b" + KEY


def written(form: Format, rows: tuple[Row, ...] = ROWS) -> str:
    """All of a report."""
    summary = Summary()
    for row in rows:
        summary.add(row)
    return "".join(form.pieces(rows, summary))


def test_json_lines_are_the_rows() -> None:
    """One object a line, each written with its row."""
    lines = [JsonLinesFormat().line(row) for row in ROWS]
    assert [line.count("\n") for line in lines] == [1] * len(ROWS)
    assert [json.loads(line) for line in lines] == DOCUMENTS


def test_json_is_one_document_whose_totals_reconcile() -> None:
    """Rows under `workspaces`, totals under `summary`, and a version for readers."""
    assert json.loads(written(JsonFormat())) == {"schema_version": 1, "workspaces": DOCUMENTS, "summary": SUMMARY}


def test_json_without_rows_is_a_document_too() -> None:
    """As it is left where an audit is interrupted before its first row."""
    assert json.loads(written(JsonFormat(), ()))["workspaces"] == []


def test_json_escapes_what_a_terminal_would_act_on() -> None:
    """The value stays the same; no control or direction character is left in the text."""
    text = json_text({"name": EVIL})
    assert json.loads(text) == {"name": EVIL}
    assert text.isprintable()


def test_a_workspace_as_a_document_tells_where_its_key_is_not_what_it_is() -> None:
    """For the dry run."""
    assert [
        workspace_document(each)
        for each in (
            Workspace("a", KeyEnv("A_KEY"), ("eu",), ("a.example",)),
            Workspace("b", KeyFile("b.key")),
            Workspace("c", ApiKey(KEY)),
            Workspace("d", KeyFile("d\udce9/d.key")),
        )
    ] == [
        {"name": "a", "key": "environment variable A_KEY", "tags": ["eu"], "expect": ["a.example"]},
        {"name": "b", "key": "key file b.key", "tags": [], "expect": None},
        {"name": "c", "key": "clf_***", "tags": [], "expect": None},
        {"name": "d", "key": "key file d /d.key", "tags": [], "expect": None},
    ]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 15, 9, tzinfo=UTC), "2026-01-15T09:00:00.000Z"),
        (datetime(2026, 1, 15, 9, 0, 0, 1_999, tzinfo=UTC), "2026-01-15T09:00:00.001Z"),
        (datetime(2026, 1, 15, 1, tzinfo=timezone(timedelta(hours=2))), "2026-01-14T23:00:00.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), "9999-12-31T23:00:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(moment: datetime, text: str) -> None:
    """Later digits are cut off. A time that UTC does not have keeps its digits. A report has the same document."""
    agent = evolve(SALES, created_at=moment)
    assert agent.to_dict()["createdAt"] == text
    (reported,) = row_document(Row("acme", "ok", (AuditedAgent(agent, ()),)))["agents"]
    assert reported == {**agent.to_dict(python_names=True), "domains": (), "error": None}
