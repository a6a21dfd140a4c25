"""Judging large rows and rules that do not end: the event loop goes on, and nothing else is lost."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from chatloom_async import ApiKey, AsyncChatloom, MockTransport, Request
from chatloom_async.audit import Row, Workspace, audit
from chatloom_async.audit.rules import (
    RULES,
    CheckedAgent,
    CheckedDomain,
    CheckedOverlap,
    Judge,
    Rule,
    containment,
    rule,
)
from chatloom_async.audit.rules import judging as judging_module
from chatloom_async.audit.rules.containment import GivenUp, InThread
from chatloom_async.audit.rules.judging import Judging
from chatloom_async.testing import VirtualClock
from tests.audit.rules.cases import audited
from tests.samples import AGENTS, KEY, OTHER_KEY, answer

ABOUT: dict[str, Any] = {"severity": "info", "why": "The test needs one.", "fix": "Nothing."}
WORKSPACES = [Workspace(f"w{number}", ApiKey(f"{KEY}{number}")) for number in range(5)]


@rule("each-agent", **ABOUT)
def each_agent(checked: CheckedAgent) -> Iterator[str]:
    """Finds every agent."""
    yield "It is there."


@rule("never-ends", **ABOUT)
def never_ends(checked: CheckedAgent) -> Iterator[str]:
    """Runs Python code for ever, after its first result."""
    yield "It begins."
    while True:
        pass


async def judging_threads() -> list[threading.Thread]:
    """Those that do not end soon."""
    threads = [thread for thread in threading.enumerate() if thread.name == "chatloom judging"]
    for thread in threads:
        await asyncio.to_thread(thread.join, 5.0)
    return [thread for thread in threads if thread.is_alive()]


def domains(count: int) -> Callable[[Request], Any]:
    """One agent with so many odd domains, in each workspace."""
    document = {"domains": [f"xn--{number:x}a" for number in range(count)]}
    return lambda request: answer(document if request.url.endswith("/allowed-domains") else AGENTS)


def june() -> datetime:
    """A day that does not change."""
    return datetime(2026, 6, 1, tzinfo=UTC)


async def judged(*rules: Rule, workspaces: int = 5, size: int = 2, clock: Callable[[], datetime] = june) -> list[Row]:
    """The rows of an audit with these rules."""
    client = AsyncChatloom(OTHER_KEY, transport=MockTransport(domains(size)), clock=VirtualClock())
    rows = audit(WORKSPACES[:workspaces], client=client, judge=Judge(rules, clock), concurrency=2)
    return sorted([row async for row in rows], key=lambda row: row.workspace)


async def other_turns(work: Any) -> int:
    """How often the event loop did something else while this was done; at most every 5 ms."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    counting = asyncio.create_task(count())
    await work
    counting.cancel()
    return turns


async def test_a_large_workspace_does_not_hold_up_the_others() -> None:
    """It is judged in a thread; a small one is judged at once."""
    threads: list[str] = []

    def clock() -> datetime:
        threads.append(threading.current_thread().name)
        return june()

    await judged(*RULES, workspaces=1, clock=clock)
    turns = await other_turns(large := asyncio.ensure_future(judged(*RULES, workspaces=1, size=5000, clock=clock)))
    assert threads == [threading.current_thread().name, "chatloom judging"]
    assert turns > 10
    (row,) = large.result()
    assert len(row.findings) > 1000


@pytest.mark.parametrize(("size", "thread"), [(2, "MainThread"), (2000, "chatloom judging")])
async def test_what_a_large_workspace_shares_is_found_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, size: int, thread: str
) -> None:
    """A small one does not wait for it."""
    judge, threads = Judge(RULES), set[str]()
    rows = [Row(name, "ok", (audited(*(f"d{number}.example" for number in range(size))),)) for name in "ab"]
    for row in rows:
        judge.remember(row)
    begin_overlaps = Judge.begin_overlaps

    def seen(judge: Judge, row: Row) -> Judging:
        threads.add(threading.current_thread().name)
        return begin_overlaps(judge, row)

    monkeypatch.setattr(Judge, "begin_overlaps", seen)
    contained = containment.ContainedJudge(judge)
    assert [len((await contained.with_overlaps(row)).findings) for row in rows] == [min(size, 1001)] * 2
    assert threads == {thread}


async def test_no_workspace_gives_more_than_a_thousand_findings_of_a_rule() -> None:
    """The rest is counted."""
    (local,) = [rule for rule in RULES if rule.id == "domain-local"]
    (row,) = await judged(local, workspaces=1, size=1500)
    assert [(found.subject, found.message) for found in row.findings if not found.agent_id] == [
        ("", "498 more findings of this rule are left out.")
    ]
    assert len(row.findings) == 1001


@pytest.mark.parametrize("rules", [(never_ends, each_agent), (each_agent, never_ends)])
async def test_a_rule_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, rules: tuple[Rule, ...]) -> None:
    """Its thread ends. Other rules are applied; after three workspaces, it is not applied any more."""
    monkeypatch.setattr(containment, "STUCK_AFTER", 0.1)
    rows = await judged(*rules)
    found = [{finding.rule: finding.message for finding in row.findings} for row in rows]
    assert [sorted(findings) for findings in found] == [["each-agent", "never-ends", "rule-failed"]] * 3 + [
        ["each-agent", "rule-failed"]
    ] * 2
    assert {findings["rule-failed"] for findings in found} == {
        "The rule never-ends was given up: it did not end within 0.1 s",
        "The rule never-ends is not applied any more: it was stuck on 3 workspaces",
    }
    assert await judging_threads() == []


async def test_a_rule_about_what_is_shared_is_given_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """After all rows are read. Other rules are applied, and the next audit replaces the finding."""
    monkeypatch.setattr(containment, "STUCK_AFTER", 0.1)

    @rule("never-shared", **ABOUT)
    def never_shared(checked: CheckedOverlap) -> Iterator[str]:
        while True:
            yield from ()

    judge = Judge((never_shared, *RULES))
    rows = [Row(name, "ok", (audited("shop.example"),)) for name in "abcde"]
    for row in rows:
        judge.remember(row)
    contained = containment.ContainedJudge(judge)
    whole = [await contained.with_overlaps(row) for row in rows]
    found = [{finding.rule: finding.message for finding in row.findings} for row in whole]
    assert [sorted(findings) for findings in found] == [["domain-shared", "rule-failed"]] * 5
    assert [findings["rule-failed"].split(":")[0] for findings in found] == [
        *["The rule never-shared was given up"] * 3,
        *["The rule never-shared is not applied any more"] * 2,
    ]
    assert [judge.without_overlaps(row).findings for row in whole] == [()] * 5
    assert await judging_threads() == []


async def test_a_rule_that_gets_stuck_while_it_is_applied_elsewhere_stops_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that waits in the system cannot be ended; what it returns later is ignored."""
    monkeypatch.setattr(containment, "STUCK_AFTER", 0.1)

    @rule("waits", **ABOUT)
    def waits(checked: CheckedAgent) -> list[str]:
        time.sleep(0.7)  # not until the test says so: under a tracer, Python 3.11 holds all threads up to its end
        return ["It was late."]

    rows = await judged(waits, each_agent)
    assert await judging_threads() == []
    assert {finding.rule for row in rows for finding in row.findings} == {"each-agent", "rule-failed"}


async def test_an_audit_can_be_left_while_a_rule_runs() -> None:
    """As by Ctrl-C: nobody waits for the rule, and its thread ends."""
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    @rule("starts", **ABOUT)
    def starts(checked: CheckedAgent) -> list[str]:
        loop.call_soon_threadsafe(started.set)
        while True:
            pass

    auditing = asyncio.create_task(judged(starts))
    await started.wait()
    auditing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await auditing
    assert await judging_threads() == []


async def test_what_a_function_gives_after_its_caller_has_left_is_ignored() -> None:
    """The event loop is told of no error."""
    problems, go_on = list[dict[str, Any]](), threading.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    judging = containment.InThread(go_on.wait)
    waiting = asyncio.create_task(judging.result())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    go_on.set()
    await asyncio.to_thread(judging._thread.join)
    await asyncio.sleep(0)
    assert (waiting.cancelled(), problems) == (True, [])


async def test_a_rule_that_finds_something_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the findings that a rule may have, and one that says so."""
    monkeypatch.setattr(judging_module, "MAX_RESULTS", 5000)

    @rule("endless", **ABOUT)
    def endless(checked: CheckedAgent) -> Iterator[str]:
        while True:
            yield "Again."

    (row,) = await judged(endless, workspaces=1)
    assert [finding.rule for finding in row.findings].count("endless") == 2
    (failed,) = [finding for finding in row.findings if finding.rule == "rule-failed"]
    assert "OverflowError: it finds more than 5,000 things in one agent" in failed.message


async def test_a_rule_has_a_limit_of_time_for_a_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found by then is kept."""
    monkeypatch.setattr(judging_module, "RULE_TIME", 0.0)

    @rule("each-domain", **ABOUT)
    def each_domain(checked: CheckedDomain) -> list[str]:
        return ["It is there."]

    (row,) = await judged(each_domain, workspaces=1, size=7)
    assert [finding.rule for finding in row.findings] == ["each-domain", "rule-failed"]
    assert "failed on 1 of 7 domains: TimeoutError: it was stopped after 0 s and 1 of them" in row.findings[1].message


async def test_a_slow_rule_of_this_package_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time follows from the size of the workspace."""
    late, looks = threading.Event(), 0
    is_done_within = containment.InThread.is_done_within

    @rule("slow", **ABOUT)
    def slow(checked: CheckedAgent) -> list[str]:
        late.wait(60)
        return ["It was late."]

    async def looked(running: Any, seconds: float) -> bool:
        nonlocal looks
        looks += 1
        if looks == 4:
            late.set()
        return await is_done_within(running, seconds)

    monkeypatch.setattr(containment.InThread, "is_done_within", looked)
    monkeypatch.setattr(containment, "STUCK_AFTER", 0.01)
    monkeypatch.setattr(containment, "OWN_RULES", frozenset([slow]))
    (row,) = await judged(slow, each_agent, workspaces=1)
    assert [finding.rule for finding in row.findings] == ["each-agent", "slow"]
    assert looks >= 4


async def test_a_defect_of_the_judge_is_the_workspaces_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other one."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(Judge, "finish", broken)
    (row,) = await judged(each_agent, workspaces=1)
    assert (row.state, row.error and row.error.type) == ("failed", "ZeroDivisionError")


async def test_a_thread_that_is_given_up_at_its_very_end_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it reports a result that nobody waits for any more. pytest would see a traceback of a thread."""
    monkeypatch.setattr(InThread, "_report", Mock(side_effect=GivenUp))
    running = InThread(lambda: 1)
    running._thread.join()
    assert not running._result.done()
