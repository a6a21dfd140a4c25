"""A difference as text: every format says the same, and nothing from outside gets out of its place."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatloom_async.audit.diff import (
    AgentChange,
    Diff,
    FieldChange,
    WorkspaceChange,
    json_diff,
    markdown_diff,
    table_diff,
)
from chatloom_async.audit.formats.github import code_span
from chatloom_async.audit.formats.text import visible
from tests.audit.store.samples import agent, found, run_info

EVIL = "\x1b[31m[x](javascript:1)<img src=x>|`a``b`@all www.x.example\n# h"
DIFF = Diff(
    run_info(3),
    run_info(4, state="interrupted", planned=9, unselected=2),
    ("The new run did not reach 8 of its 9 workspaces.",),
    (
        WorkspaceChange(
            "acme",
            "changed",
            "ok",
            "partial",
            key_rotated=True,
            agents_added=(agent("agt_2", name="New one"),),
            agents_removed=(agent("agt_3", name=""),),
            agents_changed=(
                AgentChange(
                    "agt_1", "Sales", (FieldChange("name", "Old", "Sales"),), ("new.example",), ("old.example",)
                ),
            ),
            findings_new=(found("acme", "localhost"), found("acme", "", agent_id=None, rule="list-odd")),
            findings_fixed=(found("acme", "::1"),),
            findings_unchecked=(found("acme", "10.0.0.1"),),
        ),
        WorkspaceChange("birch", "not_comparable", "ok", "failed", "new run: failed (ServerError)"),
        WorkspaceChange("cedar", "removed", "ok"),
        WorkspaceChange("dogwood", "changed", "ok", "ok", key_rotated=True),
    ),
    7,
    2,
)
EMPTY = Diff(run_info(3), run_info(4), (), (), 1)

TABLE = """\
From run 3 (2026-03-01 12:30 UTC, finished) to run 4 (2026-03-01 12:30 UTC, interrupted)
note: The new run did not reach 8 of its 9 workspaces.
workspaces: 1 removed, 2 changed, 1 not comparable, 2 not compared
agents: 1 added, 1 removed, 1 changed, 1 renamed
domains: 1 added, 1 removed
findings: 2 new, 1 fixed, 1 no longer checked
keys: 2 rotated
7 workspaces did not change

workspace     change
acme       ~  state ok -> partial
           ~  key rotated
           +  agent New one (agt_2)
           -  agent "" (agt_3)
           ~  agent Sales (agt_1): name Old -> Sales
           +  agent Sales (agt_1): domain new.example
           -  agent Sales (agt_1): domain old.example
           +  new error domain-local localhost in agent agt_1: localhost is local.
           +  new error list-odd: is local.
           -  fixed error domain-local ::1 in agent agt_1: ::1 is local.
           ?  no longer checked: error domain-local 10.0.0.1 in agent agt_1: 10.0.0.1 is local.
birch      ?  workspace not comparable: new run: failed (ServerError)
cedar      -  workspace removed
dogwood    ~  key rotated
"""

MARKDOWN = """\
# From run 3 (2026-03-01 12:30 UTC, finished) to run 4 (2026-03-01 12:30 UTC, interrupted)

- workspaces: 1 removed, 2 changed, 1 not comparable, 2 not compared
- agents: 1 added, 1 removed, 1 changed, 1 renamed
- domains: 1 added, 1 removed
- findings: 2 new, 1 fixed, 1 no longer checked
- keys: 2 rotated
- 7 workspaces did not change

> `The new run did not reach 8 of its 9 workspaces.`
>

## `acme`

- **~** state ok -> partial
- **~** key rotated
- **+** agent `New one` (`agt_2`)
- **-** agent (empty) (`agt_3`)
- **~** agent `Sales` (`agt_1`): name `Old` -> `Sales`
- **+** agent `Sales` (`agt_1`): domain `new.example`
- **-** agent `Sales` (`agt_1`): domain `old.example`
- **+** new error `domain-local` `localhost` in agent `agt_1`: `localhost is local.`
- **+** new error `list-odd`: `is local.`
- **-** fixed error `domain-local` `::1` in agent `agt_1`: `::1 is local.`
- **?** no longer checked: error `domain-local` `10.0.0.1` in agent `agt_1`: `10.0.0.1 is local.`

## `birch`

- **?** workspace not comparable: `new run: failed (ServerError)`

## `cedar`

- **-** workspace removed

## `dogwood`

- **~** key rotated
"""


def test_for_people_it_is_a_table() -> None:
    """The name of a workspace stands once."""
    assert "".join(table_diff(DIFF)) == TABLE


def test_a_table_has_colours_where_it_may() -> None:
    """And is no wider than it should be."""
    text = "".join(table_diff(DIFF, width=60, color=True))
    assert "\x1b[32m+" in text
    assert max(len(line) for line in "".join(table_diff(DIFF, width=60)).splitlines()) <= 60


def test_without_rich_it_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The [cli] extra is not needed to compare."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert "".join(table_diff(DIFF)) == TABLE


def test_markdown_is_lists() -> None:
    """Headings by workspace."""
    assert "".join(markdown_diff(DIFF)) == MARKDOWN


def test_where_nothing_changed_it_is_short() -> None:
    """But says what was compared."""
    heading = "From run 3 (2026-03-01 12:30 UTC, finished) to run 4 (2026-03-01 12:30 UTC, finished)"
    assert "".join(table_diff(EMPTY)) == f"{heading}\n1 workspace did not change\n"
    assert "".join(markdown_diff(EMPTY)) == f"# {heading}\n\n- 1 workspace did not change\n"


def test_json_is_one_document() -> None:
    """Agents as elsewhere, without their domains."""
    document = json.loads("".join(json_diff(DIFF)))
    assert list(document) == ["schema_version", "old", "new", "notes", "workspaces", "summary"]
    assert (document["schema_version"], document["summary"]) == (1, DIFF.summary())
    run = {"id": 4, "started": "2026-03-01T12:30:00+00:00", "state": "interrupted", "workspaces": 9, "pending": 8}
    assert document["new"] == {**run, "unselected": 2}
    assert document["workspaces"][0]["agents_changed"] == [
        {
            "agent_id": "agt_1",
            "name": "Sales",
            "fields": [{"field": "name", "old": "Old", "new": "Sales"}],
            "domains_added": ["new.example"],
            "domains_removed": ["old.example"],
        }
    ]
    assert [each["name"] for each in document["workspaces"][0]["agents_added"]] == ["New one"]
    assert document["workspaces"][2] == {
        "workspace": "cedar",
        "kind": "removed",
        "old_state": "ok",
        "new_state": None,
        "reason": "",
        "key_rotated": False,
        "agents_changed": [],
        "findings_new": [],
        "findings_fixed": [],
        "findings_unchecked": [],
        "agents_added": [],
        "agents_removed": [],
    }


def evil_diff(text: str) -> Diff:
    """A difference in which every text from outside is this one."""
    change = WorkspaceChange(
        text,
        "not_comparable",
        "ok",
        "failed",
        text,
        agents_added=(agent(text, name=text),),
        agents_changed=(AgentChange(text, text, (FieldChange("name", text, text),), (text,), (text,)),),
        findings_new=(found(text, text, agent_id=text, rule=text),),
    )
    return Diff(run_info(1), run_info(2), (text,), (change,), 0)


@settings(deadline=None)
@given(st.just(EVIL) | st.text(st.sampled_from("`|*_<>[]()!\\#@&:/. \n\t\x1b\u202eaw\u00a0-+=~0"), max_size=30))
def test_text_from_outside_is_nothing_but_text(text: str) -> None:
    """In Markdown it stays in its code span; on a terminal no control character is left."""
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse("".join(markdown_diff(evil_diff(text))))
    inline = [child for token in tokens for child in token.children or ()]
    allowed = {"text", "code_inline", "strong_open", "strong_close"}
    assert {child.type for child in inline} <= allowed
    assert {child.content for child in inline if child.type == "code_inline"} <= {
        visible(text).strip(),
        visible(f"{text} is local.").strip(),
    }
    blocks = {"heading", "paragraph", "bullet_list", "list_item", "blockquote"}
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= blocks | {"inline"}
    for shown in ("".join(table_diff(evil_diff(text))), "".join(json_diff(evil_diff(text)))):
        assert all(each.isprintable() or each in "\n\u00a0" for each in shown)


@pytest.mark.parametrize(
    ("text", "span"),
    [("a", "`a`"), ("", "(empty)"), ("`", "`` ` ``"), ("a``b", "```a``b```"), ("a`", "`` a` ``")],
)
def test_a_code_span_cannot_be_ended_from_within(text: str, span: str) -> None:
    """It has more backticks around it than in it."""
    assert code_span(text) == span
