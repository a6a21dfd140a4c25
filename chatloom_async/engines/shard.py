"""A shard: workspaces that one worker reads, as a value that travels. And what comes back: rows, not judged yet.

Keys do not travel. References to them do, and the salt of the run's fingerprints, which is no secret by itself:
with a fingerprint it could only confirm a key that somebody has already.
"""

from collections.abc import Iterable, Iterator

from attrs import Factory, evolve, field, frozen

from ..audit.rules.subjects import Evidence
from ..audit.runner import AUDIT_DEADLINE, AUDIT_PATIENCE
from ..audit.values import Failure, Row, Workspace
from ..policy.limiter import RateLimit
from ..wire.auth import ApiKey, Auth
from ..wire.base_url import normalize_base_url
from ..wire.errors import ChatloomError
from ..wire.message import Timeouts
from ..wire.validation import COUNT, INTERVAL
from ..wire.version import VERSION
from .errors import KeyInShardError

SHARD_DEADLINE = 3600.0


@frozen(kw_only=True)
class ShardOptions:
    """How a worker reads a shard: `concurrency` workspaces at once, the rest as the client's and the audit's options.

    Few at once, and many shards side by side: the largest workspace of a shard, at four requests a second, keeps the
    rest of its room empty. In a simulation with Pareto-distributed agents, 32 shards in each of two processes with 8
    at once took 1/20 of the time of one shard with 64.
    There is no retry policy in it: that holds a source of random numbers, and workers must not share their jitter.
    """

    concurrency: int = field(default=8, validator=COUNT)
    auth: Auth = "bearer"
    timeouts: Timeouts = Timeouts()
    rate_limit: RateLimit | None = RateLimit()
    deadline: float | None = AUDIT_DEADLINE
    patience: float = AUDIT_PATIENCE


DEFAULTS = ShardOptions()


def refuse_keys(workspaces: Iterable[Workspace]) -> None:
    """Raises KeyInShardError for the first one that holds an ApiKey."""
    for each in workspaces:
        if isinstance(each.key, ApiKey):
            raise KeyInShardError(f"Workspace {each.name!r} holds its key itself, and keys do not travel to workers")


@frozen(kw_only=True)
class ShardRead:
    """What a worker read of one workspace: a row with no rule applied, and the evidence for those who judge it.

    The evidence's fingerprint is the one that the run's database uses.
    """

    row: Row
    evidence: Evidence = Factory(Evidence)

    @classmethod
    def failed(cls, workspace: Workspace, error: BaseException) -> "ShardRead":
        return cls(row=Row(workspace.name, "failed", error=Failure.of(error)))


@frozen
class ShardResult:
    """One read for each workspace of the shard, in the shard's order."""

    shard: str
    reads: tuple[ShardRead, ...]


@frozen(kw_only=True, repr=False)
class Shard:
    """Workspaces to be read by one worker, which has `deadline` seconds for it, counted from its own start.

    Raises KeyInShardError for a workspace that holds an ApiKey. `salt` is that of the run's fingerprints.
    """

    id: str
    workspaces: tuple[Workspace, ...] = field(validator=lambda _, __, given: refuse_keys(given))
    base_url: str = field(converter=normalize_base_url)
    salt: bytes
    options: ShardOptions = DEFAULTS
    deadline: float = field(default=SHARD_DEADLINE, validator=INTERVAL)
    version: str = VERSION

    def __repr__(self) -> str:
        """In few words: workers log it, and dashboards show it."""
        return f"Shard({self.id!r}, {len(self)} workspaces)"

    def __len__(self) -> int:
        return len(self.workspaces)

    def parts(self, count: int) -> Iterator["Shard"]:
        """The same in `count` shards, or one for each workspace where there are fewer. Their order is kept."""
        size = -(-len(self) // count)
        for number, start in enumerate(range(0, len(self), size), 1):
            yield evolve(self, id=f"{self.id}.{number}", workspaces=self.workspaces[start : start + size])

    def failed(self, error: ChatloomError) -> ShardResult:
        """The result in which every workspace failed for this reason."""
        return ShardResult(self.id, tuple(ShardRead.failed(each, error) for each in self.workspaces))
