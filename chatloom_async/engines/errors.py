"""What can go wrong where audits run in shards. An error that concerns one workspace is in its row, and not raised."""

from ..wire.errors import ChatloomError, ConfigurationError


class EngineError(ChatloomError):
    """The workers, or what leads to them, failed. Rows that were committed are kept."""

    hint = "See the logs of the workers, then continue with --resume."


class EngineLostError(EngineError):
    """The way to the workers is gone: a scheduler that ended, say. Shards under way are lost."""

    hint = "Start it again, then continue with --resume: what was committed is kept."


class ShardLostError(EngineError):
    """The workers that a shard was given to died under it, as often as the engine tries. The others go on."""


class WorkersUnfitError(EngineError, ConfigurationError):
    """There is no worker, or one without this package or with another version of it."""

    hint = "Start workers in an environment with the coordinator's version of chatloom-async."


class SchedulerUnreachableError(EngineError, ConfigurationError):
    """Nobody could be spoken to at the scheduler's address. Nothing was sent."""

    hint = (
        "Give the address that `dask scheduler` prints, such as tcp://127.0.0.1:8786; for tls://, also Dask's settings "
        "distributed.comm.tls: https://distributed.dask.org/en/stable/tls.html."
    )


class KeyInShardError(ConfigurationError):
    """A workspace holds its key itself. It would travel through the scheduler's memory, so it does not travel."""

    hint = (
        "Use key_env, key_file or key_command (KeyEnv, KeyFile, KeyCommand): a worker resolves them where it runs. "
        "Or audit it in one process."
    )


class ShardDeadlineError(ChatloomError):
    """The shard's time was over before this workspace was read. A row carries it; it is never raised."""

    hint = "Audit it again with --resume; if it happens often, make shards smaller or their deadline longer."


class WorkerKilledError(ChatloomError):
    """Every worker that was given this workspace, alone at the end, died. A row carries it; it is never raised."""

    hint = "Look at the workers' logs and their limit of memory; audit it by itself: chatloom audit --only NAME."
