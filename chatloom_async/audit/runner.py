"""Turns workspaces into rows, as they complete. It never raises for a workspace: the unlucky one is a row, too."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing

from ..client import AsyncChatloom
from ..fanout import Ok, fan_out
from ..policy.retry import RetryPolicy
from .reading import read_workspace
from .values import Failure, Row, Workspace

AUDIT_RETRY = RetryPolicy(attempts=6, throttle_attempts=12, max_retry_after=900.0)
AUDIT_DEADLINE = 300.0
"""An audit has more patience than a person: a workspace that comes late is better than one that is missing."""


async def audit(
    workspaces: Iterable[Workspace] | AsyncIterable[Workspace],
    *,
    client: AsyncChatloom,
    concurrency: int = 64,
    retry: RetryPolicy | None = AUDIT_RETRY,
    deadline: float | None = AUDIT_DEADLINE,
) -> AsyncGenerator[Row, None]:
    """Reads every workspace, `concurrency` at a time, and yields exactly one row for each, in completion order.

    `workspaces` may be of any length, sync or async; memory does not grow with it. `client` lends transport,
    limiter and budget, and is not closed; its own key is not used. `retry` and `deadline` (seconds, for one
    call) take the place of the client's. A workspace that cannot be read, its key included, is a row with the
    state "failed". Raises what reading `workspaces` raises, after the rows of those that were read.
    """
    patient = client.with_options(retry=retry, deadline=deadline)

    async def read(workspace: Workspace) -> Row:
        return await read_workspace(workspace, patient)

    async with aclosing(fan_out(workspaces, read, concurrency=concurrency)) as results:
        async for result in results:
            if isinstance(result, Ok):
                yield result.value
            else:
                yield Row(result.item.name, "failed", error=Failure.of(result.error))
