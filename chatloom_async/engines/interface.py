"""What an engine is: a place where shards run. Everything else, such as windows and splitting, is the same for all."""

from typing import Protocol

from .shard import Shard, ShardResult


class Engine(Protocol):
    """Runs shards elsewhere, several at once."""

    async def prepare(self) -> int:
        """How many shards to have in flight. Raises NoWorkersError if no shard could run, before any does."""
        ...

    async def run(self, shard: Shard) -> ShardResult:
        """What `audit_shard` gives. Cancelling it gives the shard up.

        Raises ShardLostError if the shard took its workers along, so that a part of it may do better, and
        EngineLostError if no shard can run any more.
        """
        ...
