"""`chatloom sandbox`: serves the stand-in for the API until it is interrupted, and prints how to use it.

No other command shows keys. The keys of a sandbox follow from its seed and open only fictional data on this machine.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..audit.formats.text import counted
from ..wire.encode import json_text
from .files import WRITABLE_PATH
from .signals import end_gently
from .terminal import CommandLineError, shell_command

if TYPE_CHECKING:
    from ..sandbox import Sandbox

OTHERS_SHOWN = 2
PORT_HINT = "Choose another --port; 0 takes any free one."


def ndjson(_: object, value: Path | None) -> None:
    """A validator: an audit knows the format of a file by its name."""
    if value is not None and value.suffix not in (".ndjson", ".jsonl"):
        raise ValueError("End the name in .ndjson")


async def sandbox(
    *,
    port: Annotated[
        int, Parameter(metavar="PORT", help="Port on 127.0.0.1; 0: any free one.", validator=Number(gte=0, lt=65536))
    ] = 0,
    workspaces: Annotated[int, Parameter(metavar="N", help="Number of workspaces.", validator=Number(gte=1))] = 3,
    agents: Annotated[int, Parameter(metavar="N", help="Agents in each workspace.", validator=Number(gte=0))] = 12,
    seed: Annotated[int, Parameter(metavar="N", help="The same seed gives the same keys and data.")] = 7,
    rate_limit: Annotated[
        float, Parameter(metavar="N", help="Requests per minute and key; 0 means no limit.", validator=Number(gte=0))
    ] = 300,
    write_workspaces: Annotated[
        Path | None,
        Parameter(
            metavar="FILE.ndjson",
            help="Write a list of all workspaces, with keys, for `chatloom audit`. It is removed at the end.",
            validator=ndjson,
        ),
    ] = None,
) -> None:
    """Serve a stand-in for the API on this machine until Ctrl-C.

    It prints the lines that point a shell at it. Its data is fictional, and its keys open nothing else.

    Examples:
        $ chatloom sandbox
        $ chatloom sandbox --workspaces 20 --write-workspaces all.ndjson
    """
    served = make_sandbox(workspaces=workspaces, agents=agents, seed=seed, rate_limit=rate_limit or None)
    async with AsyncExitStack() as server:
        try:
            url = await server.enter_async_context(served.serve(port=port))
        except OSError as problem:
            reason = f"Port {port} cannot be used: {problem.strerror or problem}"
            raise CommandLineError(reason, hint=PORT_HINT) from None
        if write_workspaces:
            server.enter_context(_listed(served, write_workspaces))
        ended = asyncio.Event()
        server.enter_context(end_gently(ended.set))
        print("\n".join(_instructions(served, url, agents, write_workspaces)), flush=True)
        await ended.wait()


@contextmanager
def _listed(sandbox: "Sandbox", path: Path) -> Iterator[None]:
    """Writes a list that only its owner can read, and removes it at the end. Raises CommandLineError if it exists."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise CommandLineError(
            f"--write-workspaces {path} cannot be written: {problem.strerror}", hint=WRITABLE_PATH
        ) from None
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.writelines(
            json_text({"name": workspace.name, "key": workspace.key.reveal()}) + "\n" for workspace in sandbox
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _instructions(sandbox: "Sandbox", url: str, agents: int, listed: Path | None) -> Iterator[str]:
    """Lines for a shell."""
    first, *others = sandbox
    size = f"{counted(len(sandbox), 'workspace')} with {counted(agents, 'agent')}{' each' if others else ''}"
    yield f"# A Chatloom sandbox: {size}. Ctrl-C ends it. In another shell:"
    yield f"export CHATLOOM_BASE_URL={url}"
    yield f"export CHATLOOM_API_KEY={first.key.reveal()}  # workspace {first.name}"
    for workspace in others[:OTHERS_SHOWN]:
        yield f"# or CHATLOOM_API_KEY={workspace.key.reveal()}  # workspace {workspace.name}"
    yield "chatloom agents"
    if listed:
        yield shell_command("audit", str(listed.absolute()), "--inline-keys", "--base-url", url)
    elif others:
        yield "# To audit all workspaces, start the sandbox with --write-workspaces FILE.ndjson."


NAMES = ("acorn", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper", "katsura", "larch")


def make_sandbox(*, workspaces: int, agents: int, seed: int, rate_limit: float | None = 300) -> "Sandbox":
    """A sandbox with this many workspaces of this many agents; the same seed gives the same keys and data."""
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=seed, rate_limit=rate_limit)
    for number in range(workspaces):
        cycle, place = divmod(number, len(NAMES))
        sandbox.add_workspace(NAMES[place] + (f"-{cycle + 1}" if cycle else ""), agents=agents)
    return sandbox
