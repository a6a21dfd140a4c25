"""Two runs compared: what came, went and changed, and nothing concluded from what could not be read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from chatloom_async import ApiKey
from chatloom_async.audit import Failure, Finding, Row
from chatloom_async.audit.diff import (
    AgentChange,
    Diff,
    FieldChange,
    WorkspaceChange,
    diff_runs,
    json_diff,
    markdown_diff,
    new_findings,
    table_diff,
)
from chatloom_async.audit.diff.compare import compare, merged
from chatloom_async.audit.spool import DiskList
from chatloom_async.audit.store import StoredWorkspace, open_store
from chatloom_async.audit.values import DnsReading, make_finding
from tests.audit.store.samples import agent, config, failed, found, row, run_info, stream
from tests.samples import KEY, OTHER_KEY

LOCAL = found("acme", "localhost")
OTHER = found("acme", "::1", agent_id="agt_2")
FREE = found("acme", "Free.example.", agent_id="agt_1", rule="domain-unregistered")
LOST = found("acme", "lost.example", agent_id="agt_1", rule="domain-unresolved")
WIDE = found("acme", "missing.example", agent_id=None, rule="domain-missing")
INCOMPLETE = Failure("IncompleteListError", "The list states 3 agents and holds 2.")
READ_ERROR = Failure("ServerError", "1 of 2 agents could not be read.")


def acme(*agents: object, state: str = "ok", findings: tuple[Finding, ...] = (), error: Failure | None = None) -> Row:
    """The row of a workspace with these agents."""
    return row("acme", agents=agents, state=state, findings=findings, error=error)


def changed(**fields: object) -> WorkspaceChange:
    """A change of a workspace that was read both times."""
    return WorkspaceChange("acme", "changed", "ok", "ok", **fields)  # type: ignore[arg-type]


def agents_changed(name: str = "Sales", **fields: object) -> WorkspaceChange:
    """A change of its one agent."""
    return changed(agents_changed=(AgentChange("agt_1", name, **fields),))  # type: ignore[arg-type]


SAME_LATER = datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
ROWS: dict[str, tuple[Row, Row, WorkspaceChange | None]] = {
    "nothing": (acme(agent()), acme(agent()), None),
    "order of domains, repetitions, requests": (
        acme(agent(domains=("a", "b", "a"))),
        attrs.evolve(acme(agent(domains=("b", "a"))), requests=9),
        None,
    ),
    "agent added": (
        acme(agent()),
        acme(agent("agt_2"), agent()),
        changed(agents_added=(agent("agt_2"),)),
    ),
    "agent removed": (
        acme(agent(), agent("agt_2")),
        acme(agent()),
        changed(agents_removed=(agent("agt_2"),)),
    ),
    "renamed": (
        acme(agent(name="Old")),
        acme(agent(name="New")),
        agents_changed("New", fields=(FieldChange("name", "Old", "New"),)),
    ),
    "recoloured and more": (
        acme(agent()),
        acme(agent(primary_color="#000000", status="paused", created_at=SAME_LATER)),
        agents_changed(
            fields=(
                FieldChange("primary_color", "#611F69", "#000000"),
                FieldChange("status", "active", "paused"),
                FieldChange("created_at", "2026-03-01T12:30:00.000Z", "2026-03-01T13:00:00.000Z"),
            )
        ),
    ),
    "domains": (
        acme(agent(domains=("a", "b"))),
        acme(agent(domains=("c", "b", "d", "c"))),
        agents_changed(domains_added=("c", "d"), domains_removed=("a",)),
    ),
    "domains unread in one run": (
        acme(agent(domains=None), state="partial", error=READ_ERROR),
        acme(agent()),
        WorkspaceChange("acme", "changed", "partial", "ok"),
    ),
    "findings": (
        acme(agent(), findings=(LOCAL, OTHER)),
        acme(agent(), findings=(OTHER, WIDE)),
        changed(findings_new=(WIDE,), findings_fixed=(LOCAL,)),
    ),
    "a finding in other words": (
        acme(agent(), findings=(LOCAL,)),
        acme(agent(), findings=(attrs.evolve(LOCAL, message="Other words.", severity="info"),)),
        None,
    ),
    "findings on an agent that could not be read later are no longer checked": (
        acme(agent(), findings=(LOCAL, WIDE, OTHER)),
        acme(agent(domains=None), state="partial", error=READ_ERROR),
        WorkspaceChange("acme", "changed", "ok", "partial", findings_fixed=(OTHER,), findings_unchecked=(LOCAL, WIDE)),
    ),
    "findings on an agent that an incomplete list lacks are no longer checked": (
        acme(agent(), agent("agt_2"), findings=(LOCAL, OTHER)),
        acme(agent(), state="partial", error=INCOMPLETE),
        WorkspaceChange("acme", "changed", "ok", "partial", findings_fixed=(LOCAL,), findings_unchecked=(OTHER,)),
    ),
    "findings on an agent that could not be read before are not new": (
        acme(agent(domains=None), state="partial", error=READ_ERROR),
        acme(agent(), findings=(LOCAL, WIDE, OTHER)),
        WorkspaceChange("acme", "changed", "partial", "ok", findings_new=(OTHER,)),
    ),
    "an agent that an incomplete list lacks is not removed": (
        acme(agent(), agent("agt_2")),
        acme(agent(), state="partial", error=INCOMPLETE),
        WorkspaceChange("acme", "changed", "ok", "partial"),
    ),
    "an agent that an incomplete list lacked is not added": (
        acme(agent(), state="partial", error=INCOMPLETE),
        acme(agent(), agent("agt_2")),
        WorkspaceChange("acme", "changed", "partial", "ok"),
    ),
    "findings about a host for which the DNS gave no answer later are no longer checked": (
        attrs.evolve(acme(agent(), findings=(FREE, LOST)), dns=DnsReading(2)),
        attrs.evolve(acme(agent()), dns=DnsReading(2, (("free.example", "SERVFAIL"),))),
        changed(findings_fixed=(LOST,), findings_unchecked=(FREE,)),
    ),
    "findings about the DNS are no longer checked where it is not asked any more": (
        attrs.evolve(acme(agent(), findings=(FREE, LOCAL)), dns=DnsReading(2)),
        acme(agent()),
        changed(findings_fixed=(LOCAL,), findings_unchecked=(FREE,)),
    ),
    "findings about the DNS are not new where it was not asked before": (
        acme(agent()),
        attrs.evolve(acme(agent(), findings=(FREE, LOCAL)), dns=DnsReading(2)),
        changed(findings_new=(LOCAL,)),
    ),
    "failed later": (
        acme(agent(), findings=(LOCAL,)),
        failed("acme"),
        WorkspaceChange("acme", "not_comparable", "ok", "failed", "new run: failed (AuthenticationError)"),
    ),
    "failed both times": (
        Row("acme", "failed"),
        failed("acme"),
        WorkspaceChange(
            "acme",
            "not_comparable",
            "failed",
            "failed",
            "old run: failed (no reason was recorded); new run: failed (AuthenticationError)",
        ),
    ),
}


@pytest.mark.parametrize(("old", "new", "change"), ROWS.values(), ids=ROWS)
def test_two_rows_differ_in_this(old: Row, new: Row, change: WorkspaceChange | None) -> None:
    """Whole values: what is not named did not change."""
    sides = (StoredWorkspace("acme", side, expects=True) for side in (old, new))
    assert compare(*sides) == change


def test_what_was_expected_is_no_longer_checked_where_the_list_expects_nothing() -> None:
    """It is not fixed; and it is not new where nothing was expected before. Another expectation is still one."""
    unwanted = found("acme", "shop.example", rule="domain-unexpected")
    bad, good = acme(agent(), findings=(LOCAL, unwanted, WIDE)), acme(agent())
    with_list, without = (StoredWorkspace("acme", good, expects=expects) for expects in (True, False))
    old = StoredWorkspace("acme", bad, expects=True)
    assert compare(old, without) == changed(findings_fixed=(LOCAL,), findings_unchecked=(unwanted, WIDE))
    assert compare(old, with_list) == changed(findings_fixed=(LOCAL, unwanted, WIDE))
    assert compare(without, old) == changed(findings_new=(LOCAL,))


SIDES: dict[str, tuple[StoredWorkspace | None, StoredWorkspace | None, WorkspaceChange | None]] = {
    "in neither": (None, None, None),
    "added": (
        None,
        StoredWorkspace("acme", acme(agent(), findings=(LOCAL,))),
        WorkspaceChange("acme", "added", None, "ok", findings_new=(LOCAL,)),
    ),
    "added, not reached": (None, StoredWorkspace("acme"), WorkspaceChange("acme", "added")),
    "removed": (
        StoredWorkspace("acme", acme(agent(), findings=(LOCAL,))),
        None,
        WorkspaceChange("acme", "removed", "ok"),
    ),
    "removed, not reached": (StoredWorkspace("acme"), None, WorkspaceChange("acme", "removed")),
    "not reached later": (
        StoredWorkspace("acme", acme(agent())),
        StoredWorkspace("acme"),
        WorkspaceChange("acme", "not_comparable", "ok", None, "new run: not reached"),
    ),
    "key rotated": (
        StoredWorkspace("acme", acme(agent()), "k1"),
        StoredWorkspace("acme", acme(agent()), "k2"),
        changed(key_rotated=True),
    ),
    "key rotated, and refused": (
        StoredWorkspace("acme", failed("acme"), "k1"),
        StoredWorkspace("acme", acme(agent()), "k2"),
        WorkspaceChange(
            "acme",
            "not_comparable",
            "failed",
            "ok",
            "old run: failed (AuthenticationError)",
            key_rotated=True,
        ),
    ),
    "key unknown": (StoredWorkspace("acme", acme(agent())), StoredWorkspace("acme", acme(agent()), "k2"), None),
}


@pytest.mark.parametrize(("old", "new", "change"), SIDES.values(), ids=SIDES)
def test_two_runs_differ_in_this_workspace(
    old: StoredWorkspace | None, new: StoredWorkspace | None, change: WorkspaceChange | None
) -> None:
    """A workspace that failed or was not reached has not lost everything: it is not comparable."""
    assert compare(old, new) == change


async def test_workspaces_meet_by_name() -> None:
    """Each once, in order, with what the other run has of it."""
    old, new = (
        (StoredWorkspace("a"), StoredWorkspace("c"), StoredWorkspace("d")),
        (StoredWorkspace("b"), StoredWorkspace("c"), StoredWorkspace("e")),
    )
    assert [pair async for pair in merged(stream(*old), stream(*new))] == [
        (StoredWorkspace("a"), None),
        (None, StoredWorkspace("b")),
        (StoredWorkspace("c"), StoredWorkspace("c")),
        (StoredWorkspace("d"), None),
        (None, StoredWorkspace("e")),
    ]


def shared(workspace: str, others: str) -> Finding:
    """A finding that depends on other workspaces."""
    message = f"Also allowed in {others}."
    return make_finding(workspace, "domain-shared", "info", agent_id=None, subject="x.example", message=message)


SHARING = (
    StoredWorkspace("a", row("a", findings=(shared("a", "b"),))),
    StoredWorkspace("b", row("b", findings=(shared("b", "a"),))),
)
ALONE = (StoredWorkspace("a", row("a")), StoredWorkspace("b", row("b")))


async def test_a_finding_about_several_workspaces_is_new_or_fixed_if_both_runs_read_them() -> None:
    """In each of them. Another message makes no new finding."""
    new = tuple(changed_in(name, findings_new=(shared(name, other),)) for name, other in ("ab", "ba"))
    fixed = tuple(changed_in(name, findings_fixed=(shared(name, other),)) for name, other in ("ab", "ba"))
    assert (await diff_runs(run_info(), run_info(), stream(*ALONE), stream(*SHARING))).changes == new
    assert (await diff_runs(run_info(), run_info(), stream(*SHARING), stream(*ALONE))).changes == fixed
    reworded = StoredWorkspace("a", row("a", findings=(shared("a", "b, c"),)))
    same = await diff_runs(run_info(), run_info(), stream(SHARING[0]), stream(reworded))
    assert (same.changes, set(same.summary().values())) == ((), {0, 1})
    assert (same.unchanged, "".join(table_diff(same)).splitlines()[1:]) == (1, ["1 workspace did not change"])


@pytest.mark.parametrize(
    "unread",
    [
        StoredWorkspace("b", failed("b")),
        StoredWorkspace("b"),
        StoredWorkspace("b", row("b", state="partial", error=READ_ERROR)),
    ],
)
async def test_it_is_neither_where_a_run_could_not_read_one_of_them(unread: StoredWorkspace) -> None:
    """The other workspace may be why the finding is not there: it is no longer checked. A note says so."""
    note = "Some findings that concern several workspaces are not compared: the {} run did not read them all."
    kinds = {} if unread.row and unread.row.state == "partial" else {"b": "not_comparable"}
    diff = await diff_runs(run_info(1), run_info(2), stream(*SHARING), stream(ALONE[0], unread))
    assert diff.changes[0] == changed_in("a", findings_unchecked=(shared("a", "b"),))
    assert diff.notes == (note.format("new"),)
    diff = await diff_runs(run_info(1), run_info(2), stream(ALONE[0], unread), stream(*SHARING))
    assert {change.workspace: change.kind for change in diff.changes if change.kind != "changed"} == kinds
    assert diff.notes == (note.format("old"),)


async def test_an_added_workspace_brings_all_of_its_findings() -> None:
    """Also those about others. One that was on no list is not missing from the old run."""
    diff = await diff_runs(run_info(), run_info(), stream(ALONE[0]), stream(*SHARING))
    assert diff.changes == (
        changed_in("a", findings_new=(shared("a", "b"),)),
        WorkspaceChange("b", "added", new_state="ok", findings_new=(shared("b", "a"),)),
    )
    old = (ALONE[0], StoredWorkspace("c"))
    diff = await diff_runs(run_info(), run_info(), stream(*old), stream(*SHARING, StoredWorkspace("c", row("c"))))
    assert [(change.workspace, change.kind) for change in diff.changes] == [("b", "added"), ("c", "not_comparable")]


async def test_what_makes_two_runs_hard_to_compare_is_noted() -> None:
    """Unfinished runs, other addresses, other rules."""
    old = run_info(1, planned=9, ok=2, failed=1, rules=("a", "b"))
    new = run_info(2, base_url="https://other.example", rules=("b", "c"))
    assert await diff_runs(old, new, stream(), stream()) == Diff(
        old,
        new,
        (
            "The old run did not reach 6 of its 9 workspaces.",
            "The runs read different addresses: https://chatloom.app and https://other.example.",
            "Only one of the runs applied these rules, so their findings are not compared: a, c.",
        ),
        (),
        0,
    )


UNSELECTED = StoredWorkspace("b", selected=False)
GONE = {"b": "removed", "c": "added"}


@pytest.mark.parametrize(
    ("old", "new", "kinds", "not_compared"),
    [
        ((StoredWorkspace("b", row("b")),), (UNSELECTED,), {}, 1),
        ((UNSELECTED,), (StoredWorkspace("b", row("b")),), {}, 1),
        ((UNSELECTED,), (UNSELECTED,), {}, 0),
        ((UNSELECTED,), (), {}, 0),
        ((StoredWorkspace("b", row("b")),), (StoredWorkspace("c", row("c")),), GONE, 0),
        (
            (StoredWorkspace("b", row("b")), StoredWorkspace("c", selected=False)),
            (StoredWorkspace("c", row("c")),),
            {"b": "removed"},
            1,
        ),
    ],
)
async def test_what_a_run_was_not_to_read_is_not_compared(
    old: tuple[StoredWorkspace, ...], new: tuple[StoredWorkspace, ...], kinds: dict[str, str], not_compared: int
) -> None:
    """It is neither removed nor added; what is not on the list at all is."""
    diff = await diff_runs(run_info(1), run_info(2), stream(*old), stream(*new))
    assert {each.workspace: each.kind for each in diff.changes} == kinds
    assert (diff.not_compared, diff.unchanged) == (not_compared, 0)


async def test_a_selection_is_noted_and_concludes_nothing_of_what_several_workspaces_share() -> None:
    """Those that share a domain may be among the ones that were left out. What a workspace has alone is compared."""
    own = found("a", "localhost")
    both = (StoredWorkspace("a", row("a", findings=(shared("a", "b"), own))), StoredWorkspace("b", row("b")))
    alone = (StoredWorkspace("a", row("a")), UNSELECTED)
    old, new = run_info(1, planned=2, ok=2), run_info(2, unselected=1)
    note = "run was to read only 1 of 2 workspaces. The others are not compared."
    doubt = "Some findings that concern several workspaces are not compared: the {} run did not read them all."
    forth = await diff_runs(old, new, stream(*both), stream(*alone))
    notes = (f"The new {note}", doubt.format("new"))
    change = changed_in("a", findings_fixed=(own,), findings_unchecked=(shared("a", "b"),))
    assert forth == Diff(old, new, notes, (change,), 0, 1)
    back = await diff_runs(new, old, stream(*alone), stream(*both))
    notes = (f"The old {note}", doubt.format("old"))
    assert back == Diff(new, old, notes, (changed_in("a", findings_new=(own,)),), 0, 1)


def changed_in(workspace: str, **fields: object) -> WorkspaceChange:
    """A change of this workspace, which was read both times."""
    return attrs.evolve(changed(**fields), workspace=workspace)


async def test_what_several_workspaces_shared_is_no_longer_checked_where_one_left_the_list() -> None:
    """It may still be shared with the workspace that is gone."""
    diff = await diff_runs(run_info(), run_info(), stream(*SHARING), stream(ALONE[0]))
    assert diff.changes == (
        changed_in("a", findings_unchecked=(shared("a", "b"),)),
        WorkspaceChange("b", "removed", "ok"),
    )
    assert diff.summary()["findings_unchecked"] == 1


async def test_what_a_rule_found_is_no_longer_checked_where_it_is_not_applied() -> None:
    """And not new where it was not. It is noted that the rules differ."""
    local, wide = (StoredWorkspace("a", row("a", findings=each), expects=True) for each in ((LOCAL,), (WIDE,)))
    old, new = run_info(1, rules=("domain-local",)), run_info(2, rules=("domain-missing",))
    note = "Only one of the runs applied these rules, so their findings are not compared: domain-local, domain-missing."
    assert await diff_runs(old, new, stream(local), stream(wide)) == Diff(
        old, new, (note,), (changed_in("a", findings_unchecked=(LOCAL,)),), 0
    )


async def test_what_a_new_rule_finds_is_not_new() -> None:
    """Nobody looked for it before. A workspace with nothing else did not change."""
    old, new = run_info(1, rules=("domain-local",)), run_info(2, rules=("domain-local", "domain-missing"))
    wide = StoredWorkspace("a", row("a", findings=(WIDE,)), expects=True)
    diff = await diff_runs(old, new, stream(StoredWorkspace("a", row("a"), expects=True)), stream(wide))
    assert (diff.changes, diff.unchanged) == ((), 1)


@pytest.mark.parametrize(("render", "passes"), [(json_diff, 1), (markdown_diff, 1), (table_diff, 2)])
async def test_a_change_is_read_as_often_as_a_format_needs(
    render: Callable[[Diff], Iterator[str]], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once to count it, and once or twice to render it: the time grows with the number of changes, not faster."""
    reads: list[object] = []
    read = DiskList.__getitem__

    def counted(changes: DiskList[WorkspaceChange], place: Any) -> Any:
        if isinstance(place, int):
            reads.append(place)
        return read(changes, place)

    monkeypatch.setattr(DiskList, "__getitem__", counted)
    names = [f"w{number:03}" for number in range(100)]
    old, new = ([StoredWorkspace(name, row(name), key) for name in names] for key in ("k1", "k2"))
    diff = await diff_runs(run_info(1), run_info(2), stream(*old), stream(*new))
    text = "".join(render(diff))
    assert (len(diff.changes), text.count("w099")) == (100, 1)
    assert len([place for place in reads if place != 100]) == (1 + passes) * 100


async def test_two_runs_of_a_store_are_compared(tmp_path: Path) -> None:
    """From the file to the totals."""
    async with open_store(tmp_path / "a.db") as store:
        old = await store.begin(config("a", "b", "c"))
        await old.commit(row("a", findings=(found("a", "localhost"),)), ApiKey(KEY))
        await old.commit(row("b"), ApiKey(KEY))
        await old.commit(row("c"))
        await old.finish()
        new = await store.begin(config("a", "b", "d"))
        renamed = agent(name="New", primary_color="#000000", domains=("new.example",))
        await new.commit(row("a", agents=(renamed, agent("agt_2"))), ApiKey(OTHER_KEY))
        await new.commit(failed("b"), ApiKey(KEY))
        await new.commit(row("d", findings=(found("d", "localhost"),)))
        await new.finish()
        infos = [await store.run_info(number) for number in (1, 2)]
        diff = await diff_runs(*infos, store.workspaces(1), store.workspaces(2))
    assert [(each.workspace, each.kind) for each in diff.changes] == [
        ("a", "changed"),
        ("b", "not_comparable"),
        ("c", "removed"),
        ("d", "added"),
    ]
    assert diff.summary() == {
        "workspaces_added": 1,
        "workspaces_removed": 1,
        "workspaces_changed": 1,
        "workspaces_not_comparable": 1,
        "workspaces_not_compared": 0,
        "keys_rotated": 1,
        "agents_added": 1,
        "agents_removed": 0,
        "agents_changed": 1,
        "agents_renamed": 1,
        "agents_recoloured": 1,
        "domains_added": 1,
        "domains_removed": 1,
        "findings_new": 1,
        "findings_fixed": 1,
        "findings_unchecked": 0,
        "unchanged": 0,
    }


async def test_a_baseline_leaves_what_is_new(tmp_path: Path) -> None:
    """By id, wherever in the baseline it was found."""
    findings = (found("a", "localhost"), found("b", "localhost"), found("a", "::1"))
    async with open_store(tmp_path / "a.db") as store:
        run = await store.begin(config("a", "b"))
        await run.commit(row("a", findings=findings[:1]))
        await run.commit(row("b", findings=findings[1:2]))
        known = await store.known_findings(run.id, (each.id for each in findings))
    assert new_findings(findings, known) == findings[2:]
