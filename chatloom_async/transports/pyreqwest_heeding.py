"""Awaits what pyreqwest does, such that a cancellation is what asyncio made of it."""

import types
from asyncio import CancelledError
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def heeding(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Awaits `work`; once it is cancelled, it ends by the very exception that cancelled it.

    pyreqwest raises another in its place, without the message by which anyio knows its own; and where the result has
    just come it returns that, and the cancellation is forgotten.
    """
    cancelled: CancelledError | None = None
    try:
        waiting = work.send(None)
        while True:
            try:
                yield waiting
            except CancelledError as problem:
                cancelled = problem
                waiting = work.throw(problem)
            else:
                waiting = work.send(None)
    except StopIteration as end:
        if cancelled is None:
            result: T = end.value
            return result
    except CancelledError:
        if cancelled is None:
            raise
    raise cancelled
