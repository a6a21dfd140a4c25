"""A million workspaces on a fleet of workers, on paper: a simulation with a virtual clock and no sockets.

    python -m benchmarks.million                      the fleet: wall time, requests, retries, by workers and shard size
    python -m benchmarks.million --check              one shard through the real code, beside what the simulation says
    python -m benchmarks.million --coordinator N      the real coordinator and database with N made-up workspaces

Agent counts have a heavy tail (Pareto, half of the workspaces have three or fewer, one in a million thousands), one key
in a hundred is dead, one call in a thousand has to be repeated, and in the middle nothing answers for ten minutes.
"""

import argparse
import asyncio
import heapq
import random
import resource
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from attrs import define, evolve, field, frozen

from chatloom_async import Agent, MockTransport, Request, Response, TransportError
from chatloom_async.audit import AuditedAgent, KeyEnv, Row, Workspace
from chatloom_async.audit.outage import PROBE_EVERY
from chatloom_async.audit.rules.subjects import Evidence
from chatloom_async.audit.store import RunConfig, open_store
from chatloom_async.engines import LocalEngine, Shard, ShardRead, ShardResult, audit_on
from chatloom_async.policy.retry import CAPACITY, COST
from chatloom_async.testing.clock import VirtualClock

RATE, BURST, AT_ONCE = 4.0, 8, 8  # the defaults of RateLimit and ShardOptions
LATENCY, DEAD, TRANSIENT, OUTAGE = 0.12, 0.01, 0.001, 600.0
MOST = 5000
FLEETS = (
    *((1, 1, slots, None) for slots in (64, 256)),  # as `audit` does it: one stream of workspaces
    *((2, threads, slots, 250) for threads, slots in ((1, 64), (8, 8), (32, 8), (32, 64))),
    (2, 32, 8, 1000),
    *((10, threads, 8, 250) for threads in (8, 32)),
    (100, 32, 8, 250),
)
"""Processes, threads in each with a shard apiece, workspaces at once in a shard, and workspaces in a shard."""
REQUESTS = ("requests", "repeated", "retries", "probes")
URL = "http://127.0.0.1:9"


def agents_of(draw: random.Random) -> int:
    """How many agents a workspace has; 0 stands for a dead key."""
    return 0 if draw.random() < DEAD else min(MOST, int(draw.paretovariate(1.16) * 1.5))


@define
class Fleet:
    """`workers` threads with one shard each; `outage` is the moment at which nothing answers any more, or None."""

    workers: int
    shard_size: int
    outage: float | None = None
    slots: int = AT_ONCE
    count: Counter[str] = field(factory=Counter)
    busy: float = 0.0

    def run(self, sizes: list[int]) -> float:
        """The seconds until the last shard is done. A free worker takes the next shard."""
        free = [0.0] * self.workers
        for start in range(0, len(sizes), self.shard_size):
            began = heapq.heappop(free)
            heapq.heappush(free, self._shard(began, sizes[start : start + self.shard_size]))
        return max(free)

    def _shard(self, began: float, sizes: list[int]) -> float:
        """When it ends. Slots take the next workspace as they become free."""
        slots, met, last = [began] * self.slots, 0, began
        for agents in sizes:
            start = heapq.heappop(slots)
            start = self.recovery if self._down(start) else start
            calls = agents + 1
            took = max((2 if agents else 1) * LATENCY, (calls - BURST) / RATE + LATENCY)
            self.busy += took
            self.count["requests"] += calls
            self.count["failed"] += not agents
            repeated = random.random() < calls * TRANSIENT
            self.count["retries"] += repeated
            took += 0.125 * repeated
            if self.outage is not None and start < self.outage < start + took:  # it is read again from its beginning
                met += 1
                self.count["repeated"] += calls
                start = self.recovery
            heapq.heappush(slots, start + took)
            last = max(last, start + took)
        if met:
            self.count["retries"] += int(min(met, CAPACITY / COST["transient"]))
            self.count["probes"] += int(OUTAGE / PROBE_EVERY)
        return last

    def _down(self, moment: float) -> bool:
        return self.outage is not None and self.outage <= moment < self.recovery

    @property
    def recovery(self) -> float:
        """The first probe after the outage."""
        return (self.outage or 0.0) + OUTAGE + PROBE_EVERY / 2


def table(count: int) -> None:
    """The fleet in several sizes, without and with the outage."""
    draw = random.Random(7)
    sizes = [agents_of(draw) for _ in range(count)]
    ranked = sorted(sizes)
    print(
        f"{count:,} workspaces, agents: mean {sum(sizes) / count:.1f}, median {ranked[count // 2]}, most {ranked[-1]:,}"
    )
    print("processes threads slots  shard    hours  slots busy  with the outage     requests  retries   probes")
    for processes, threads, slots, shard_size in FLEETS:
        calm = Fleet(processes * threads, shard_size or count, slots=slots)
        took = calm.run(sizes)
        rough = Fleet(processes * threads, shard_size or count, outage=took / 2, slots=slots)
        longer, counted = rough.run(sizes), rough.count
        requests = sum(counted[each] for each in REQUESTS)
        used = calm.busy / (took * processes * threads * slots)
        print(
            f"{processes:>9} {threads:>7} {slots:>5} {shard_size or 'all':>6} {took / 3600:>8.2f} {used:>11.0%} "
            f"{(longer - took) / 60:>+12.1f} min {requests:>12,} {counted['retries']:>8,} {counted['probes']:>8,}"
        )


async def check(count: int) -> None:
    """One shard through limiter, retries, budget and outage of the real code, under a virtual clock."""
    draw = random.Random(7)
    sizes = [min(200, agents_of(draw)) for _ in range(count)]
    took = Fleet(1, count).run(sizes)
    for outage in (None, took / 2):
        fleet, clock, sent = Fleet(1, count, outage=outage), VirtualClock(), Counter[str]()
        answer = partial(_answer, clock=clock, sizes=sizes, fleet=fleet, sent=sent)
        workspaces = [Workspace(str(number), _KeyOf(f"KEY{number}")) for number in range(count)]
        engine, began = LocalEngine(transport=MockTransport(answer), clock=clock), time.process_time()
        rows = [row async for row in audit_on(engine, workspaces, base_url=URL, shard_size=count)]
        said = Fleet(1, count, outage=outage)
        end = said.run(sizes)
        wanted = sum(said.count[each] for each in REQUESTS)
        print(
            f"{count:,} workspaces, {'an outage' if outage else 'no outage'}: real code {clock.now:.0f} s virtual, "
            f"{sent.total():,} requests, {sum(row.state == 'failed' for row in rows)} failed; simulation {end:.0f} s, "
            f"{wanted:,} requests, {said.count['failed']} failed ({time.process_time() - began:.0f} s of CPU)"
        )


@frozen
class _KeyOf(KeyEnv):
    """A reference that gives a key of its own, without an environment."""

    async def read(self) -> str:
        return f"clf_{self.name}"


async def _answer(
    request: Request, *, clock: VirtualClock, sizes: list[int], fleet: Fleet, sent: Counter[str]
) -> Response | TransportError:
    """After the latency: the list, the domains, 401 for a dead key, 503 while nothing works."""
    number = int(request.headers["authorization"].removeprefix("Bearer clf_KEY"))
    sent["all"] += 1
    began = clock.now
    await clock.sleep(LATENCY)
    if fleet.outage is not None and fleet.outage <= began < fleet.outage + OUTAGE:
        return Response(503, {}, b'{"error": "down"}')
    if not sizes[number]:
        return Response(401, {}, b'{"error": "dead"}')
    if request.url.endswith("allowed-domains"):
        return Response(200, {}, b'{"domains": ["a.example"]}')
    listed = ",".join(AGENT % each for each in range(sizes[number]))
    return Response(200, {}, f'{{"agents": [{listed}], "count": {sizes[number]}}}'.encode())


AGENT = (
    '{"id": "agt_%d", "name": "A", "primaryColor": "#611F69", "secondaryColor": "#764ba2", "position": "bottom-right",'
    ' "template": "modern", "status": "active", "createdAt": "2026-01-15T09:00:00.000Z"}'
)


class MadeUp:
    """An engine that reads nothing: rows with one to three domains an agent, as workers would send them."""

    async def prepare(self) -> int:
        return 2

    async def run(self, shard: Shard) -> ShardResult:
        await asyncio.sleep(0)
        return ShardResult(shard.id, tuple(map(_made_up, shard.workspaces)))


def _made_up(workspace: Workspace) -> ShardRead:
    count = min(MOST, agents_of(random.Random(workspace.name)))
    label = f"{workspace.name}.example"
    domains = (label, f"www.{label}", f"shop.{label}")
    moment = datetime(2026, 1, 15, 9, tzinfo=UTC)
    first = Agent("agt_0", "Sales 0", "#611F69", "#764ba2", "bottom-right", "modern", "active", moment)
    agents = tuple(
        AuditedAgent(evolve(first, id=f"agt_{each}", name=f"Sales {each}"), domains[: 1 + each % 3])
        for each in range(count)
    )
    evidence = Evidence(count=count, fingerprint=workspace.name)
    return ShardRead(row=Row(workspace.name, "ok", agents, requests=count + 1), evidence=evidence)


async def coordinator(count: int) -> None:
    """Rows through rules and database, with the memory of the process on the way."""
    began, last = time.process_time(), time.perf_counter()
    workspaces = [Workspace(f"w{number}", KeyEnv(f"K{number}")) for number in range(count)]
    print(f"{count:,} workspaces in memory: {_memory():.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(Path(folder, "audits.db")) as store:
            run, done = await store.begin(RunConfig(workspaces=workspaces, base_url=URL)), 0
            async for _ in audit_on(MadeUp(), run.pending(workspaces), base_url=URL, run=run):
                done += 1
                if done % max(1, count // 10) == 0:
                    now, used = time.perf_counter(), time.process_time() - began
                    print(
                        f"{done:>10,} rows {_memory():>6.0f} MB {count // 10 / (now - last):>6.0f}/s, CPU {used:.0f} s"
                    )
                    last = now
            await run.finish()
        print(f"database: {_size(Path(folder)):.0f} MB")


def _size(folder: Path) -> float:
    """Megabytes of its files."""
    return sum(each.stat().st_size for each in folder.iterdir()) / 1e6


def _memory() -> float:
    """Megabytes, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """What the options say."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.million", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--workspaces", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--check", action="store_true", help="2,000 workspaces through the real code as well")
    parser.add_argument("--coordinator", type=int, metavar="N", help="only what the coordinator does with N workspaces")
    options = parser.parse_args()
    if options.coordinator:
        asyncio.run(coordinator(options.coordinator))
    elif options.check:
        asyncio.run(check(2000))
    else:
        began = time.process_time()
        table(options.workspaces)
        print(f"simulated in {time.process_time() - began:.0f} s of CPU, {_memory():.0f} MB")


if __name__ == "__main__":
    main()
