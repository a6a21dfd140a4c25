"""Who reads the workspaces of an audit: this process. Another reader is in engine.py."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn, Protocol

from attrs import evolve, frozen

from ..audit import runner
from ..audit.keys import KeyFile
from ..audit.rules import Judge
from ..audit.runner import PROBE_EVERY, OnPause
from ..audit.values import Row, Workspace
from ..client import AsyncChatloom
from ..engines import DaskEngine, ShardOptions, audit_on
from ..engines.dask import workers_at, workers_here
from ..engines.shard import DEFAULTS, fitting_size, refuse_keys
from ..wire.auth import ApiKey
from ..wire.errors import ConfigurationError
from .audit_inputs import Recording, Source
from .audit_screen import Interrupt
from .options import Pace
from .screen import notice


class Reader(Protocol):
    """Turns what is still to be read into rows, each judged, and kept before it is yielded."""

    def rows(self, record: Recording, judge: Judge, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        """One row for each workspace that is pending; none begins any more once an interrupt was asked for."""
        ...


@frozen
class ProcessReader:
    """This process, with the transport and the limiter of `client`; its key is not used."""

    client: AsyncChatloom
    concurrency: int

    def rows(self, record: Recording, judge: Judge, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        return runner.audit(
            interrupt.until_asked(record.pending()),
            client=self.client,
            judge=judge,
            run=record.run,
            concurrency=self.concurrency,
            on_pause=telling(interrupt.say),
        )


def telling(say: Callable[[str], None]) -> OnPause:
    """Says that the audit pauses, in the same words each time."""
    return lambda _: say(f"paused: too many calls fail; one workspace is tried again every {PROBE_EVERY:g} s")


class EngineOptionError(ConfigurationError):
    """Options that choose where workspaces are read contradict each other. Nothing was sent."""

    hint = "See `chatloom audit --help`."


@frozen
class WorkersReader:
    """The workers of a cluster: `window` shards of up to `size` workspaces at once. `portable` is what travels."""

    engine: DaskEngine
    base_url: str
    portable: Callable[[Workspace], Workspace]
    window: int
    size: int
    options: ShardOptions

    def rows(self, record: Recording, judge: Judge, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        return audit_on(
            self.engine,
            self._pending(record),
            base_url=self.base_url,
            judge=judge,
            run=record.run,
            options=self.options,
            shard_size=self.size,
            window=self.window,
            wanted=lambda: not interrupt.asked,
        )

    async def _pending(self, record: Recording) -> AsyncGenerator[Workspace, None]:
        async for each in record.pending():
            yield self.portable(each)


@asynccontextmanager
async def reader(pace: Pace, source: Source, chosen: Sequence[Workspace]) -> AsyncIterator[Reader]:
    """The reader; a cluster of its own ends with the context. Raises a ConfigurationError, with nothing begun."""
    async with AsyncExitStack() as stack:
        if pace.engine == "local":
            if pace.scheduler is not None:
                raise EngineOptionError("--scheduler is the address of a Dask cluster: add --engine dask")
            client = await stack.enter_async_context(AsyncChatloom(_no_key, base_url=source.base_url))
            yield ProcessReader(client, pace.at_once)
        else:
            yield await _workers(pace, source, chosen, stack)


def _no_key(*, force_refresh: bool = False) -> NoReturn:
    raise RuntimeError("An audit has a key for each workspace, and none of its own")  # pragma: no cover


async def _workers(pace: Pace, source: Source, chosen: Sequence[Workspace], stack: AsyncExitStack) -> WorkersReader:
    if source.kind != "sandbox":
        portable = absolute
        refuse_keys(chosen)
    elif pace.scheduler is None:
        portable = KeyFiles(Path(stack.enter_context(TemporaryDirectory(prefix="chatloom-")))).portable
    else:
        raise EngineOptionError("The embedded sandbox is for workers of this machine: leave out --scheduler")
    engine = await stack.enter_async_context(workers_at(pace.scheduler) if pace.scheduler else workers_here())
    room = await engine.prepare() * DEFAULTS.concurrency
    asked = min(pace.concurrency or room, room)
    in_each = min(asked, DEFAULTS.concurrency)
    window = asked // in_each  # so that it is never more than what was asked for
    where = f"the cluster at {pace.scheduler}" if pace.scheduler else "a cluster on this machine"
    notice(f"reading on {where}, up to {window * in_each} workspaces at once", "dim")
    size, options = fitting_size(len(chosen), window, in_each), evolve(DEFAULTS, concurrency=in_each)
    return WorkersReader(engine, source.address, portable, window, size, options)


def absolute(workspace: Workspace) -> Workspace:
    """The path of its key counts from the same place wherever it is resolved."""
    key = workspace.key
    if not isinstance(key, KeyFile) or str(key.path).startswith("~"):
        return workspace
    return evolve(workspace, key=KeyFile(key.path.absolute()))


@frozen
class KeyFiles:
    """A folder for the keys of fictional workspaces, since no key travels, not even one that opens nothing."""

    folder: Path

    def portable(self, workspace: Workspace) -> Workspace:
        """The workspace with a reference to its key."""
        if not isinstance(workspace.key, ApiKey):
            return workspace
        path = self.folder / f"{workspace.name}.key"
        path.touch(0o600)
        path.write_text(workspace.key.reveal())
        return evolve(workspace, key=KeyFile(path))
