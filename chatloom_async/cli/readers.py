"""Who reads the workspaces of an audit: this process, or the workers of a Dask cluster."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from ..audit import runner
from ..audit.dns import Resolver
from ..audit.keys import KeyFile
from ..audit.rules import Judge
from ..audit.session import Reader
from ..audit.store import Run
from ..audit.values import Row, Workspace
from ..client import AsyncChatloom
from ..engines import EngineLostError, audit_on
from ..engines.dask import workers_at, workers_here
from ..engines.shard import DEFAULTS, fitting_size, refuse_keys
from ..transports.aiohttp import AiohttpTransport
from ..transports.network import descriptor_share
from ..wire.auth import ApiKey
from ..wire.errors import Attempt
from .options import RunOptions
from .sources import Source
from .terminal import CommandLineError, notice

Say = Callable[[str], None]

MAX_DESCRIPTORS = 4096
MAX_IN_FLIGHT = 256
LANES = 8  # requests of one workspace that may be in flight, as the API's rate limit allows them


@asynccontextmanager
async def open_reader(
    options: RunOptions,
    source: Source,
    workspaces: Sequence[Workspace],
    *,
    dns: Resolver | None,
    say: Say,
    stop: asyncio.Event,
) -> AsyncIterator[Reader]:
    """The reader. A cluster that was started here ends with the context. Raises ConfigurationError at the start.

    `dns` is asked about domains, `say` prints a line while the audit runs. Once `stop` is set, no further shard begins.
    """
    async with AsyncExitStack() as stack:
        if options.engine == "local":
            if options.scheduler is not None:
                raise CommandLineError("--scheduler is the address of a Dask cluster: add --engine dask")
            affordable = descriptor_share()
            at_once = min(max(MAX_IN_FLIGHT, LANES * options.at_once), affordable)
            transport = AiohttpTransport(max_connections=min(2 * at_once, affordable))
            client = await stack.enter_async_context(
                AsyncChatloom.for_many(
                    base_url=source.base_url,
                    transport=await stack.enter_async_context(aclosing(transport)),
                    max_in_flight=at_once,
                    on_attempt=attempt_line if options.verbose else None,
                )
            )
            yield partial(
                runner.audit,
                client=client,
                concurrency=options.at_once,
                max_pause=options.max_pause,
                on_pause=lambda pause: say(str(pause)),
                dns=dns,
            )
        else:
            yield await _workers(options, source, workspaces, stack, dns=dns, say=say, stop=stop)


def raise_descriptor_limit() -> None:
    """Raises this process's soft limit of open files to the hard one, 4,096 at most, so that more can be read at once.

    Does nothing if the system does not allow it.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def attempt_line(attempt: Attempt) -> None:
    """Prints what came of one attempt."""
    result = attempt.status or type(attempt.error).__name__
    notice(f"{attempt.operation}, attempt {attempt.number}: {result} in {attempt.elapsed * 1000:.0f} ms", "dim")


async def _workers(
    options: RunOptions,
    source: Source,
    workspaces: Sequence[Workspace],
    stack: AsyncExitStack,
    *,
    dns: Resolver | None,
    say: Say,
    stop: asyncio.Event,
) -> Reader:
    """A reader whose work is done by the workers of a cluster, in shards."""
    if source.kind != "sandbox":
        portable = absolute
        refuse_keys(workspaces)
    elif options.scheduler is None:
        portable = KeyFiles(Path(stack.enter_context(TemporaryDirectory(prefix="chatloom-")))).portable
    else:
        raise CommandLineError("The embedded sandbox is for workers of this machine: leave out --scheduler")
    engine = await stack.enter_async_context(workers_at(options.scheduler) if options.scheduler else workers_here())
    capacity = await engine.prepare() * DEFAULTS.concurrency
    asked = min(options.concurrency or capacity, capacity)
    in_each = min(asked, DEFAULTS.concurrency)
    window = asked // in_each  # rounded down: never more than was asked for
    where = f"the cluster at {options.scheduler}" if options.scheduler else "a cluster on this machine"
    notice(f"reading on {where}, up to {window * in_each} workspaces at once", "dim")

    async def read(
        workspaces: AsyncGenerator[Workspace, None], /, *, judge: Judge, run: Run | None
    ) -> AsyncGenerator[Row, None]:
        """If the workers are lost, it ends early and says so: what was read is worth its report."""
        rows = audit_on(
            engine,
            (portable(workspace) async for workspace in workspaces),
            base_url=source.address,
            judge=judge,
            run=run,
            options=evolve(DEFAULTS, concurrency=in_each, max_pause=options.max_pause),
            shard_size=size,
            window=window,
            wanted=lambda: not stop.is_set(),
            dns=dns,
        )
        try:
            async with aclosing(rows):
                async for row in rows:
                    yield row
        except EngineLostError as lost:
            say(f"stopped: {lost}")

    size = fitting_size(len(workspaces), window, in_each)
    return read


def absolute(workspace: Workspace) -> Workspace:
    """The workspace with an absolute path of its key file, since workers have working directories of their own."""
    key = workspace.key
    if not isinstance(key, KeyFile) or str(key.path).startswith("~"):
        return workspace
    return evolve(workspace, key=evolve(key, path=key.path.absolute()))


@frozen
class KeyFiles:
    """A folder for the keys of the embedded sandbox, because no key is ever sent to a worker."""

    folder: Path

    def portable(self, workspace: Workspace) -> Workspace:
        """The workspace with a reference to its key."""
        if not isinstance(workspace.key, ApiKey):
            return workspace
        path = self.folder / f"{workspace.name}.key"
        path.touch(0o600)
        path.write_text(workspace.key.reveal())
        return evolve(workspace, key=KeyFile(path))
