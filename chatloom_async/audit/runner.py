"""Audits many workspaces: reads each, judges what was read, commits it, and yields one row for each."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from ..client import AsyncChatloom
from ..fanout import Ok, fan_out
from ..policy.retry import RetryPolicy
from ..wire.validation import FUNCTION
from .dns import Resolver, read_hosts
from .outage import MAX_PAUSE, OnPause, PatientReader
from .reading import Read
from .rules.containment import ContainedJudge
from .rules.judging import Judge
from .rules.subjects import Evidence
from .store.errors import StoreError
from .store.store import Run
from .values import Failure, Row, Workspace

AUDIT_RETRY = RetryPolicy(attempts=6, throttle_attempts=12, max_retry_after=900.0)
AUDIT_DEADLINE = 300.0
"""Longer than for interactive calls: a late workspace is better than a missing one."""


async def audit(
    workspaces: Iterable[Workspace] | AsyncIterable[Workspace],
    *,
    client: AsyncChatloom,
    judge: Judge | None = None,
    run: Run | None = None,
    concurrency: int = 64,
    retry: RetryPolicy | None = AUDIT_RETRY,
    deadline: float | None = AUDIT_DEADLINE,
    max_pause: float = MAX_PAUSE,
    on_pause: OnPause = lambda _: None,
    dns: Resolver | None = None,
) -> AsyncGenerator[Row, None]:
    """Reads every workspace, `concurrency` at a time, and yields exactly one row for each, in completion order.

        async with open_store("audits.db") as store, AsyncChatloom() as client:
            run = await store.begin(RunConfig(workspaces=workspaces, base_url="https://chatloom.app"))
            async for row in audit(run.pending(workspaces), client=client, run=run):
                print(row.workspace, row.state, len(row.findings))
            await run.finish()

    `workspaces` may be of any length, sync or async; beyond what `judge` remembers, memory does not grow with it.
    `client` lends transport, limiter and budget, and is not closed; its own key is not used. `judge` has the rules,
    by default those of this package; `Judge(rules=())` applies none. What workspaces have in common is known only once
    all rows are there: `judge.add_overlaps(row)` adds findings about it. A row is committed to `run` before it is
    yielded. `retry` and `deadline` (seconds, for one call) replace the client's. `dns` is asked about the allowed
    domains, for the rules that need it; without it, nothing is looked up.

    If the API fails for everybody, so that the retry budget is used up, the audit pauses and probes, for `max_pause`
    seconds in all. `on_pause` is called before each wait with a Pause, whose text names the error and the seconds; also
    from time to time as long as the API answers nothing but 429. If nothing has worked within the first 8 to 11 seconds
    (no list of agents, no 429), the audit gives up: the remaining workspaces are failed rows. Until then, an attempt
    may take 11 s, so an API that needs longer for its first answer is taken for one that is down, unless
    `Timeouts.attempt` of the client is above its default of 15 s.

    A workspace that cannot be read, its key included, is a row with the state "failed". Raises StoreError if `run`
    cannot take a row, and what reading `workspaces` raises, after the rows of those that were read.
    """
    FUNCTION.check("on_pause", on_pause)
    reader = PatientReader(client.with_options(retry=retry, deadline=deadline), max_pause, on_pause)
    judging = ContainedJudge(Judge() if judge is None else judge)

    async def finished(workspace: Workspace) -> Row:
        read = await reader.read(workspace)
        records = None if dns is None else await read_hosts(dns, read.row)
        row = await judging.judged(read.row, workspace, _evidence(read, run), records)
        if run is not None:
            await run.commit(row, read.key)
        return row

    async with aclosing(fan_out(workspaces, finished, concurrency=concurrency)) as results:
        async for result in results:
            yield result.value if isinstance(result, Ok) else await _failed(result.item, result.error, run)


def _evidence(read: Read, run: Run | None) -> Evidence:
    """The evidence with the key's fingerprint: the database's own, if any, because resumed rows have that."""
    if read.key is None:
        return read.evidence
    key = run.fingerprint(read.key) if run else read.key.fingerprint
    return Evidence(read.evidence.count, read.evidence.unknown_fields, key)


async def _failed(workspace: Workspace, error: BaseException, run: Run | None) -> Row:
    """The row of a workspace that met a defect. Errors of the database are raised instead."""
    if isinstance(error, StoreError):
        raise error
    row = Row(workspace.name, "failed", error=Failure.of(error))
    if run is not None:
        await run.commit(row)
    return row
