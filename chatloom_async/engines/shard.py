"""A shard: workspaces that one worker reads. Its values, how workspaces are partitioned, and the engines' errors.

An error of a single workspace is in its row and is not raised.
"""

from collections.abc import Callable, Iterable, Iterator

from attrs import Factory, evolve, field, frozen

from ..audit.outage import MAX_PAUSE
from ..audit.rules.subjects import Evidence
from ..audit.runner import AUDIT_DEADLINE
from ..audit.store.runs import reference_digest
from ..audit.values import Failure, Row, Workspace
from ..policy.limiter import RateLimit
from ..wire.auth import ApiKey, Auth
from ..wire.base_url import normalize_base_url
from ..wire.errors import ChatloomError, ConfigurationError
from ..wire.message import Timeouts
from ..wire.validation import COUNT, INTERVAL
from ..wire.version import VERSION


class EngineError(ChatloomError):
    """The workers, or the connection to them, failed. Committed rows are kept."""

    hint = "See the logs of the workers, then continue with --resume."


class EngineLostError(EngineError):
    """The workers cannot be reached any more, e.g. because the scheduler ended. Shards in flight are lost."""

    hint = "Start it again, then continue with --resume: committed rows are kept."


class ShardLostError(EngineError):
    """Every worker that read this shard died, as often as the engine tries. Other shards continue."""


class NoWorkersError(EngineError, ConfigurationError):
    """No worker can be used: the scheduler cannot be reached, it has no workers, or one has another version."""

    hint = (
        "Start workers in an environment with the coordinator's version of chatloom-async, and give the address that "
        "`dask scheduler` prints, such as tcp://127.0.0.1:8786; for tls://, also Dask's settings distributed.comm.tls: "
        "https://distributed.dask.org/en/stable/tls.html."
    )


SHARD_DEADLINE = 3600.0


@frozen(kw_only=True)
class ShardOptions:
    """How a worker reads a shard: `concurrency` workspaces at once; the other options are the client's and the audit's.

    Many shards with a low concurrency are faster than few with a high one, because a shard's largest workspace, at four
    requests a second, takes longer than the others. In a simulation with Pareto-distributed agents, 32 shards in each
    of two processes with 8 at once took 1/20 of the time of one shard with 64.
    There is no retry policy: it contains a source of random numbers, and workers must not share their jitter.
    """

    concurrency: int = field(default=8, validator=COUNT)
    auth: Auth = "bearer"
    timeouts: Timeouts = Timeouts()
    rate_limit: RateLimit | None = RateLimit()
    deadline: float | None = AUDIT_DEADLINE
    max_pause: float = MAX_PAUSE


DEFAULTS = ShardOptions()


def refuse_keys(workspaces: Iterable[Workspace]) -> None:
    """Raises ConfigurationError for the first one that holds an ApiKey."""
    for workspace in workspaces:
        if isinstance(workspace.key, ApiKey):
            text = f"Workspace {workspace.name!r} holds its key itself, and keys are not sent to workers"
            raise ConfigurationError(f"{text}: use key_env, key_json, key_file or key_command, or audit in one process")


@frozen(kw_only=True)
class ShardRead:
    """What a worker read of one workspace: a row before any rule, and the evidence for the rules.

    The fingerprint in the evidence is the one that the run's database uses.
    """

    row: Row
    evidence: Evidence = Factory(Evidence)

    @classmethod
    def failed(cls, workspace: Workspace, error: Failure) -> "ShardRead":
        return cls(row=Row(workspace.name, "failed", error=error))


@frozen
class ShardResult:
    """One read for each workspace of the shard, in the shard's order. `gave_up` is the reason if the worker gave up
    because nothing worked in its first seconds, else None."""

    shard: str
    reads: tuple[ShardRead, ...]
    gave_up: Failure | None = None


@frozen(kw_only=True, repr=False)
class Shard:
    """Workspaces that one worker reads within `deadline` seconds, counted from the worker's start.

    Raises ConfigurationError for a workspace that holds an ApiKey. `salt` is the salt of the run's fingerprints.
    """

    id: str
    workspaces: tuple[Workspace, ...] = field(validator=lambda _, __, given: refuse_keys(given))
    base_url: str = field(converter=normalize_base_url)
    salt: bytes
    options: ShardOptions = DEFAULTS
    deadline: float = field(default=SHARD_DEADLINE, validator=INTERVAL)
    version: str = VERSION

    def __repr__(self) -> str:
        """Short, because workers log it and dashboards show it."""
        return f"Shard({self.id!r}, workspaces={len(self)})"

    def __len__(self) -> int:
        return len(self.workspaces)

    def parts(self, count: int) -> Iterator["Shard"]:
        """The same workspaces in `count` shards, or one for each workspace if there are fewer. Their order is kept."""
        size = -(-len(self) // count)
        for number, start in enumerate(range(0, len(self), size), 1):
            yield evolve(self, id=f"{self.id}.{number}", workspaces=self.workspaces[start : start + size])

    def failed(self, error: Failure) -> ShardResult:
        """The result in which every workspace failed for this reason."""
        return ShardResult(self.id, tuple(ShardRead.failed(workspace, error) for workspace in self.workspaces))


SHARD_SIZE = 250
"""Workspaces. A lost shard is read again as a whole; a small one takes as long as its largest workspace."""

SPREAD = 8
"""Shards for each one in flight, if there are enough workspaces. The last shards, and those of a killed worker, are
then small."""

MakeShard = Callable[[str, tuple[Workspace, ...]], Shard]


def partition(workspaces: Iterable[Workspace], make: MakeShard, *, size: int = SHARD_SIZE) -> Iterator[Shard]:
    """Shards of up to `size` workspaces, in about the order given; `make` builds one from its id and workspaces.

    Workspaces that share a reference stay together, so a shard is larger if more than `size` share one. All
    workspaces are looked at first, with about 100 bytes each in memory in addition to the workspaces.
    """
    shard: list[Workspace] = []
    number = 0
    for group in _by_reference(workspaces):
        if shard and len(shard) + len(group) > size:
            number += 1
            yield make(str(number), tuple(shard))
            shard = []
        shard += group
    if shard:
        yield make(str(number + 1), tuple(shard))


def fitting_size(workspaces: int, window: int, at_once: int = DEFAULTS.concurrency) -> int:
    """Workspaces per shard: few enough that all workers are used, but at least as many as it reads at once, because a
    shard itself costs as much as two or three workspaces (12 ms of CPU, by tests.engines.costs). At most SHARD_SIZE."""
    return max(at_once, min(SHARD_SIZE, workspaces // (window * SPREAD)))


def _by_reference(workspaces: Iterable[Workspace]) -> Iterable[list[Workspace]]:
    """Groups of workspaces with the same key reference, in order of the first one. Spellings of a path are one."""
    groups: dict[bytes, list[Workspace]] = {}
    for workspace in workspaces:
        groups.setdefault(reference_digest(workspace.key, b""), []).append(workspace)
    return groups.values()
