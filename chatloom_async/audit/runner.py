"""Audits many workspaces, one row each, and pauses the run while the API is down.

During an outage one workspace probes and the others wait. Otherwise a run would mark its whole list as failed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing

from attrs import define, evolve, field

from ..client import AsyncChatloom
from ..fanout import Ok, fan_out
from ..policy.clock import Clock
from ..policy.retry import RetryPolicy
from .dns import Resolver, read_hosts
from .reading import Read, read_workspace
from .rules.judging import Judge
from .rules.subjects import Evidence
from .store.errors import StoreError
from .store.store import Run
from .values import Failure, Row, Workspace

PROBE_EVERY = 15.0
"""Seconds between two probes: a server that comes back is not met by a storm, and not kept waiting either."""

OnPause = Callable[[float], None]


@define(eq=False)
class Outage:
    """One run's patience. `left` is how many seconds it may still spend on waiting, all outages together.

    `on_pause` is called with the seconds until the next probe, before each.
    """

    clock: Clock
    left: float
    on_pause: OnPause = lambda _: None
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _ended: int = field(default=0, init=False)

    async def sit_out(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """What `read` gives, once it is no longer starved of retries, or the patience is at its end."""
        while True:
            async with self._turn:  # while somebody probes, nobody begins
                ended = self._ended
            found = await read()
            if not found.starved:
                return found
            async with self._turn:
                if ended == self._ended:  # nobody was read since it began
                    return await self._probed(read, found)
            # else the outage that starved it is over: it is read again, beside the others

    async def _probed(self, read: Callable[[], Awaitable[Read]], found: Read) -> Read:
        while found.starved and self.left > 0:
            pause = min(PROBE_EVERY, self.left)
            self.left -= pause
            self.on_pause(pause)
            await self.clock.sleep(pause)
            found = await read()
            self._ended += not found.starved
        return found


AUDIT_RETRY = RetryPolicy(attempts=6, throttle_attempts=12, max_retry_after=900.0)
AUDIT_DEADLINE = 300.0
AUDIT_PATIENCE = 900.0
"""An audit has more patience than a person: a workspace that comes late is better than one that is missing."""


async def audit(
    workspaces: Iterable[Workspace] | AsyncIterable[Workspace],
    *,
    client: AsyncChatloom,
    judge: Judge | None = None,
    run: Run | None = None,
    concurrency: int = 64,
    retry: RetryPolicy | None = AUDIT_RETRY,
    deadline: float | None = AUDIT_DEADLINE,
    patience: float = AUDIT_PATIENCE,
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
    by default those of this package; `Judge(rules=())` applies none. A row is committed to `run` before it is
    yielded. `retry` and `deadline` (seconds, for one call) take the place of the client's. Where the retry budget is
    used up, because the API is down, the audit pauses for up to `patience` seconds in all and probes, and
    `on_pause` is told. `dns` is asked about the allowed domains, for the rules that need it; without it, nothing is
    looked up.

    A workspace that cannot be read, its key included, is a row with the state "failed". Raises StoreError where `run`
    cannot take a row, and what reading `workspaces` raises, after the rows of those that were read.
    """
    patient = client.with_options(retry=retry, deadline=deadline)
    outage = Outage(client.clock, patience, on_pause)
    judging = Judge() if judge is None else judge

    async def finished(workspace: Workspace) -> Row:
        read = await outage.sit_out(lambda: read_workspace(workspace, patient))
        records = None if dns is None else await read_hosts(dns, read.row)
        row = judging.judge(read.row, workspace, _evidence(read, run), records)
        if run is not None:
            await run.commit(row, read.key)
        return row

    async with aclosing(fan_out(workspaces, finished, concurrency=concurrency)) as results:
        async for result in results:
            yield result.value if isinstance(result, Ok) else await _failed(result.item, result.error, run)


def _evidence(read: Read, run: Run | None) -> Evidence:
    """With the key's fingerprint: the database's own where there is one, since resumed rows bring that."""
    if read.key is None:
        return read.evidence
    return evolve(read.evidence, fingerprint=run.fingerprint(read.key) if run else read.key.fingerprint)


async def _failed(workspace: Workspace, error: BaseException, run: Run | None) -> Row:
    """The row of a workspace that met a defect. A database that takes no rows is nothing that a row could tell."""
    if isinstance(error, StoreError):
        raise error
    row = Row(workspace.name, "failed", error=Failure.of(error))
    if run is not None:
        await run.commit(row)
    return row
