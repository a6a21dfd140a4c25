"""What belongs to one event loop: opened once, even if two ask at the same time, and closed with the transport."""

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from chatloom_async import ClientClosedError
from chatloom_async.transports.per_loop import INHERITED, PerLoop


class Slow:
    """Opens numbers, each after a while, and notes which of them are open."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []

    async def open(self) -> AsyncGenerator[int]:
        number = len(self.opened) + 1
        self.opened.append(number)
        await asyncio.sleep(0)
        try:
            yield number
        finally:
            self.closed.append(number)


async def test_many_that_open_at_the_same_time_get_the_same() -> None:
    """It is opened once. If the task that opens it is cancelled, another one opens it."""
    slow = Slow()
    values = PerLoop(slow.open)
    tasks = [asyncio.create_task(values.open()) for _ in range(4)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    cancelled, *numbers = await asyncio.gather(*tasks, return_exceptions=True)
    assert (type(cancelled), numbers, slow.opened) == (asyncio.CancelledError, [2, 2, 2], [1, 2])
    await values.aclose()
    assert slow.closed == [2]


async def test_closing_while_it_is_opened_closes_it() -> None:
    """Whoever opens it hears that the transport is closed."""
    slow = Slow()
    values = PerLoop(slow.open)
    task = asyncio.create_task(values.open())
    await asyncio.sleep(0)
    await values.aclose()
    with pytest.raises(ClientClosedError):
        await task
    assert (slow.opened, slow.closed) == ([1], [1])
    with pytest.raises(ClientClosedError):
        await values.open()


async def test_what_the_parent_process_opened_is_kept_but_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end would be noticed by the parent. Here the process only seems to be another one."""
    slow = Slow()
    values = PerLoop(slow.open)
    await values.open()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert (await values.open(), slow.closed) == (2, [])
    await values.aclose()
    assert slow.closed == [2]
    parents: Any = INHERITED.pop()
    await parents[1].aclose()
    assert slow.closed == [2, 1]
