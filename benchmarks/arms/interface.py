"""What every arm is: a name, what its user would say it is, and where to find it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from attrs import frozen

Call = Callable[[], Awaitable[Any]]
Opened = AsyncIterator[Call]  # what an asynccontextmanager's function is said to return
Opening = AbstractAsyncContextManager[Call]
Kind = Literal["baseline", "ours", "sdk", "http", "floor"]


@frozen
class Arm:
    """One way to ask for ten agents.

    `place` is `module:function` in this package. The function is an asynchronous context manager: it takes the
    server's URL, opens the client as its documentation advises, and gives a function that makes one call and
    returns what its user gets. `shows` names the distributions whose versions belong beside the result.
    """

    name: str
    place: str
    what: str
    kind: Kind
    shows: tuple[str, ...] = ()
    quick: bool = False
