"""The interface of an engine. It runs shards; everything else, such as splitting, is the same for all engines."""

from typing import Protocol

from .shard import Shard, ShardResult


class Engine(Protocol):
    """Runs shards elsewhere, several at once."""

    async def prepare(self) -> int:
        """The number of shards to have in flight. Called first; raises NoWorkersError if no shard can run."""
        ...

    async def run(self, shard: Shard) -> ShardResult:
        """The result of `audit_shard`. Cancelling it gives up the shard.

        Raises ShardLostError if every worker that ran the shard died, and EngineLostError if no shard can run any more.
        """
        ...
