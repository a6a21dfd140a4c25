"""`chatloom sandbox`: serves the stand-in for the API until it is interrupted, and prints how to use it."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ..wire.errors import ConfigurationError
from .embedded import planted

if TYPE_CHECKING:
    from ..sandbox import Sandbox

KEYS_SHOWN = 3


class PortError(ConfigurationError):
    """The server cannot have that port."""

    hint = "Choose another --port; 0 takes any free one."


async def sandbox(
    *,
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; 0: any free one.", validator=Number(gte=0, lt=65536))] = 0,
    workspaces: Annotated[int, Parameter(help="How many workspaces there are.", validator=Number(gte=1))] = 3,
    agents: Annotated[int, Parameter(help="How many agents each has.", validator=Number(gte=0))] = 12,
    seed: Annotated[int, Parameter(help="The same seed gives the same keys and data.")] = 7,
    rate_limit: Annotated[
        float, Parameter(metavar="PER_MINUTE", help="Requests per minute and key; 0: any.", validator=Number(gte=0))
    ] = 300,
) -> None:
    """Serve a stand-in for the API on this machine until Ctrl-C, and print the lines that point a shell at it.

    Example: chatloom sandbox --port 8085
    """
    grown = planted(workspaces=workspaces, agents=agents, seed=seed, rate_limit=rate_limit or None)
    async with AsyncExitStack() as server:
        try:
            url = await server.enter_async_context(grown.serve(port=port))
        except OSError as problem:
            raise PortError(f"Port {port} cannot be used: {problem.strerror or problem}") from None
        print("\n".join(_instructions(grown, url, agents)), flush=True)
        await asyncio.Event().wait()


def _instructions(sandbox: "Sandbox", url: str, agents: int) -> Iterator[str]:
    """Lines for a shell. The only place where this package prints a key: a sandbox's keys follow from its seed,
    open nothing but fictional data on this machine, and are of no use to anybody who cannot see them here."""
    yield f"# A Chatloom sandbox: {len(sandbox)} workspaces of {agents} agents. Ctrl-C ends it. In another shell:"
    yield f"export CHATLOOM_BASE_URL={url}"
    for workspace in list(sandbox)[:KEYS_SHOWN]:
        yield f"export CHATLOOM_API_KEY={workspace.key.reveal()}  # workspace {workspace.name}"
    yield "chatloom agents"
