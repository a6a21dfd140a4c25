"""A sandbox's workspaces for engines: every key lies in a file of its own, since keys do not travel."""

from pathlib import Path

from chatloom_async.audit import KeyCommand, KeyFile, Workspace
from chatloom_async.engines import Shard
from chatloom_async.sandbox import Sandbox

SALT = b"s" * 32


def planted(folder: Path, count: int, *, agents: int = 1) -> tuple[Sandbox, tuple[Workspace, ...]]:
    """A sandbox without a rate limit, and its workspaces w0, w1, ... with references to their keys."""
    sandbox = Sandbox(seed=7, rate_limit=None)
    names = [f"w{number}" for number in range(count)]
    return sandbox, tuple(Workspace(name, key_file(sandbox, folder, name, agents)) for name in names)


def key_file(sandbox: Sandbox, folder: Path, name: str, agents: int) -> KeyFile:
    """The key of a new workspace, in a file that only its owner can read."""
    path = folder / f"{name}.key"
    path.touch(0o600)
    path.write_text(sandbox.add_workspace(name, agents=agents).key.reveal())
    return KeyFile(path)


POISON = Workspace("poison", KeyCommand(("sh", "-c", "kill -9 $PPID")))
"""The command for its key kills the process that runs it: the worker."""


def shard_of(*workspaces: Workspace, name: str = "1", **options: object) -> Shard:
    """A shard for an address where nobody answers, unless told otherwise."""
    given = {"base_url": "http://127.0.0.1:9", "salt": SALT, **options}
    return Shard(id=name, workspaces=workspaces, **given)  # type: ignore[arg-type]
