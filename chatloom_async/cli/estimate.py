"""Turns workspaces into what their audit would cost: requests, and the seconds that the rate limit takes at least."""

from collections import Counter
from collections.abc import Collection
from math import ceil
from pathlib import Path

from attrs import frozen

from ..audit.formats.ranking import counted
from ..audit.store import open_store
from ..audit.values import Workspace
from ..policy.limiter import RateLimit

ASSUMED_AGENTS = 12
"""For a workspace of which nothing is known: a dozen, as the sandbox has it."""


@frozen
class Estimate:
    """`basis` says where the numbers of agents come from."""

    requests: int
    seconds: float
    basis: str

    def __str__(self) -> str:
        limit = RateLimit()
        rate = f"{limit.per_second:g} a second and key after {limit.burst} at once"
        cost = f"{counted(self.requests, 'request')}, {_duration(self.seconds)}"
        return f"{cost} at the allowed rate ({rate}); {self.basis}"


async def estimated(workspaces: Collection[Workspace], db: Path | None, concurrency: int) -> Estimate:
    """One request for the list of a workspace and one for each of its agents; repeats are not foreseen.

    The numbers of agents are those of the last run in `db`; for workspaces that it does not have, its average.
    """
    run, agents = await _last_run(db)
    mean = ceil(sum(agents.values()) / len(agents)) if agents else ASSUMED_AGENTS
    asked = [1 + agents.get(each.name, mean) for each in workspaces]
    known = sum(each.name in agents for each in workspaces)
    guess = f"{mean} agents assumed in {'the others' if known else 'each workspace'}"
    parts = [f"as run {run} found them"] * bool(known) + [guess] * (known < len(workspaces))
    return Estimate(sum(asked), _seconds(workspaces, asked, concurrency), ", ".join(parts))


async def _last_run(db: Path | None) -> tuple[int, dict[str, int]]:
    """The number of the last run, and how many agents each of its workspaces had."""
    if db is None or not _exists(db):
        return 0, {}
    async with open_store(db, write=False) as store:
        runs = await store.runs()
        if not runs:
            return 0, {}
        rows = store.rows(runs[-1].id, failed=False)
        return runs[-1].id, {row.workspace: len(row.agents) async for row in rows}


def _exists(db: Path) -> bool:
    return db.exists()


def _seconds(workspaces: Collection[Workspace], asked: list[int], concurrency: int) -> float:
    """A key's requests follow one another at its rate, and so many workspaces are under way at once."""
    limit = RateLimit()
    by_key: Counter[object] = Counter()
    for each, requests in zip(workspaces, asked, strict=True):
        by_key[each.key] += requests
    waits = [max(0, requests - limit.burst) / limit.per_second for requests in by_key.values()]
    return max(*waits, sum(waits) / concurrency)


def _duration(seconds: float) -> str:
    """`3 s`, `4 min`, `2.5 h`: an estimate has no decimals to speak of."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 120:
        return f"{ceil(seconds)} s"
    return f"{ceil(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
