"""The queue of one key in one process, without Redis: the test answers each step, at the moment that it chooses."""

import asyncio
from itertools import count

import pytest

from chatloom_async.contrib.redis.queue import KeyQueue
from chatloom_async.contrib.redis.script import RedisUnavailableError, Reply, Step

AWAY = RedisUnavailableError("away", sent=False)


class Desk:
    """A queue, the steps that it has taken, and the reply that the last one waits for."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, list[tuple[str, str]]]] = []
        self.reply: asyncio.Future[Reply]
        self.queue = KeyQueue("a", (f"{number}:" for number in count()), 4, self.ask, lambda queue: None)

    async def ask(self, step: Step) -> Reply:
        self.steps.append((step.want, [(release.lease, release.outcome) for release in step.releases]))
        self.reply = asyncio.get_running_loop().create_future()
        return await self.reply

    async def waiting(self, calls: int) -> list[asyncio.Task[str]]:
        """So many calls in the queue, while the first step is under way."""
        tasks = [asyncio.create_task(self.queue.acquire()) for _ in range(calls)]
        await settle()
        return tasks


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(6):
        await asyncio.sleep(0)


def granted(permits: int, wait: float = 0.0) -> Reply:
    """Redis's reply."""
    return Reply(granted=permits, wait=wait, rate=4.0, pause=0.0, in_flight=permits)


async def test_one_step_asks_for_all() -> None:
    """As many as may come at once; those that come later ask again."""
    desk = Desk()
    tasks = await desk.waiting(6)
    desk.reply.set_result(granted(4))
    await settle()
    assert [task.result() for task in tasks[:4]] == ["0:1", "0:2", "0:3", "0:4"]
    desk.reply.set_result(granted(2))
    assert await asyncio.gather(*tasks[4:]) == ["1:1", "1:2"]
    assert desk.steps == [(4, []), (2, [])]


async def test_cancelled_just_before_its_permit_comes() -> None:
    """The permit goes to the next in line; one that nobody waits for goes back."""
    desk = Desk()
    first, second = await desk.waiting(2)
    desk.reply.set_result(granted(2))
    first.cancel()
    await settle()
    assert (first.cancelled(), second.result()) == (True, "0:1")
    assert desk.steps == [(2, []), (0, [("0:2", "unused")])]
    desk.reply.set_result(granted(0))


async def test_cancelled_with_the_permit_in_hand() -> None:
    """It goes back."""
    desk = Desk()
    (task,) = await desk.waiting(1)
    desk.reply.set_result(granted(1))
    await asyncio.sleep(0)
    assert (desk.queue.queued, task.done()) == (0, False)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert desk.steps == [(1, []), (0, [("0:1", "unused")])]
    desk.reply.set_result(granted(0))


@pytest.mark.parametrize("turns", [0, 1])
async def test_cancelled_when_redis_is_lost(turns: int) -> None:
    """Just before it is known or just after: it stays cancelled, the other call is told, and nothing is given twice."""
    desk = Desk()
    first, second = await desk.waiting(2)
    desk.reply.set_exception(AWAY)
    for _ in range(turns):
        await asyncio.sleep(0)
    first.cancel()
    await settle()
    assert (first.cancelled(), second.exception()) == (True, AWAY)
    desk.queue.go_on()
    await settle()
    assert desk.steps == [(2, []), (0, [("0:1", "unused"), ("0:2", "unused")])]
    desk.reply.set_result(granted(0))
    await settle()
    assert desk.queue.idle


async def test_cancelled_just_before_its_error_comes() -> None:
    """It is cancelled: nobody waits for the error any more."""
    desk = Desk()
    (task,) = await desk.waiting(1)
    desk.queue._on_end = lambda queue: task.cancel()
    desk.reply.set_exception(AWAY)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_place_in_line_is_given_up() -> None:
    """Where the last call that waits is cancelled, Redis is told, so that the place holds up nobody."""
    desk = Desk()
    tasks = await desk.waiting(2)
    desk.reply.set_result(granted(0, wait=60.0))
    for task in tasks:
        await settle()
        task.cancel()
    await settle()
    assert desk.steps == [(2, []), (0, [])]
    desk.reply.set_result(granted(0))
    await settle()
    assert desk.queue.idle


async def test_a_short_wait_is_a_place_in_line_too() -> None:
    """Redis knows of it until it is told otherwise."""
    desk = Desk()
    (task,) = await desk.waiting(1)
    desk.reply.set_result(granted(0, wait=0.9))
    await settle()
    assert desk.queue._in_line
    task.cancel()
    desk.queue.asking.cancel()
    await settle()
