"""What an audit costs beside its own calls: workspaces of seven agents, so eight requests each, with a key each."""

import asyncio
import os
import resource
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from chatloom_async import AiohttpTransport, ApiKey, AsyncChatloom, Ok, fan_out
from chatloom_async.audit import Workspace, audit
from chatloom_async.audit.reading import MAX_LANES
from chatloom_async.audit.session import Output, open_session

from ..answers import NUMBERED, SEVEN
from ..server import serving

CONCURRENCY = 64
ROUNDS = 15
LATENCY = 0.2

Piece = Callable[[], Awaitable[None]]


def busy(url: str, workspaces: int) -> dict[str, float]:
    """CPU per workspace over plain HTTP: the calls, the audit, and the audit with a database."""
    return asyncio.run(_busy(url, workspaces, None))


def tls(workspaces: int) -> dict[str, float]:
    """The same over TLS 1.3 with a certificate on a P-256 key."""
    import trustme

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder) / "certificate.pem"
        issued = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
        issued.private_key_and_cert_chain_pem.write_to_path(certificate)
        with serving(certificate) as server:
            return asyncio.run(_busy(server.url, workspaces, context))


async def _busy(url: str, number: int, context: ssl.SSLContext | None) -> dict[str, float]:
    """Each piece in turns with the others. Ratios are those of the medians: the machine's speed may change between two
    neighbours."""
    workspaces = _workspaces(number)
    with tempfile.TemporaryDirectory() as folder:
        databases = iter(Path(folder, f"{index}.db") for index in range(ROUNDS + 1))
        pieces: dict[str, Piece] = {
            "calls in series": lambda: _calls(url, context, workspaces),
            "audit": lambda: _audit(url, context, workspaces, None),
            "audit with a database": lambda: _audit(url, context, workspaces, next(databases)),
        }
        samples: dict[str, list[float]] = {name: [] for name in pieces}
        for index in range(ROUNDS + 1):
            for name, piece in pieces.items():
                began = process_time()
                await piece()
                if index:  # the first round is the warm-up
                    samples[name].append((process_time() - began) / number * 1e3)
    medians = {name: median(values) for name, values in samples.items()}
    numbers = {f"{name}, ms": value for name, value in medians.items()}
    for name in ("audit", "audit with a database"):
        numbers[f"{name} : calls"] = medians[name] / medians["calls in series"]
    return numbers


def _workspaces(number: int) -> list[Workspace]:
    return [Workspace(f"workspace-{index}", ApiKey(NUMBERED.format(number=index))) for index in range(number)]


@asynccontextmanager
async def _client(url: str, context: ssl.SSLContext | None, concurrency: int) -> AsyncIterator[AsyncChatloom]:
    in_flight = MAX_LANES * concurrency  # as the program does
    async with AsyncExitStack() as stack:
        transport = AiohttpTransport(ssl=context or True, max_connections=2 * in_flight)
        stack.push_async_callback(transport.aclose)
        yield await stack.enter_async_context(
            AsyncChatloom.for_many(base_url=url + SEVEN, transport=transport, max_in_flight=in_flight)
        )


async def _calls(url: str, context: ssl.SSLContext | None, workspaces: list[Workspace]) -> None:
    """The requests of the audit, nothing else; those of one workspace one after the other."""

    async def read(chatloom: AsyncChatloom, workspace: Workspace) -> None:
        own = chatloom.with_key(workspace.key)
        for agent in await own.list_agents():
            await own.get_allowed_domains(agent.id)

    async with _client(url, context, CONCURRENCY) as chatloom:
        async for result in fan_out(workspaces, partial(read, chatloom), concurrency=CONCURRENCY):
            if not isinstance(result, Ok):
                raise result.error


async def _audit(
    url: str,
    context: ssl.SSLContext | None,
    workspaces: list[Workspace],
    database: Path | None,
    concurrency: int = CONCURRENCY,
) -> None:
    """What the command does with --format json: rules, rows, and one report."""
    async with _client(url, context, concurrency) as chatloom:
        read = partial(audit, client=chatloom, concurrency=concurrency)
        async with open_session(workspaces, read, db=database, base_url=url + SEVEN) as session:
            outcome = await session.write(Output(session.format("json"), StringIO()))
            if outcome.summary.failed or outcome.summary.partial:
                raise ValueError(f"not every workspace was read: {outcome.cause}")


def waiting(workspaces: int, concurrency: int) -> dict[str, float]:
    """Seconds of an audit whose answers take 200 ms, and how many times its bound that is.

    The bound is the larger of two. Latency: a slow first answer opens the other lanes, so a workspace of seven agents
    takes the time of two answers, and `concurrency` of them are read at a time. CPU: what this process has used.
    """
    with serving(latency=LATENCY) as server:
        return asyncio.run(_waiting(server.url, workspaces, concurrency))


async def _waiting(url: str, number: int, concurrency: int) -> dict[str, float]:
    peak = 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, open_descriptors())
            await asyncio.sleep(0.02)

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # as the program does
    watcher = asyncio.create_task(watch())
    began, cpu = perf_counter(), process_time()
    await _audit(url, None, _workspaces(number), None, concurrency)
    took, cpu = perf_counter() - began, process_time() - cpu
    watcher.cancel()
    bound = max(-(-number // concurrency) * 2 * LATENCY, cpu)
    return {"seconds": took, "CPU, s": cpu, "seconds : bound": took / bound, "descriptors, peak": float(peak)}


def open_descriptors() -> int:
    """How many descriptors this process has open; Linux and macOS know."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - only counted
