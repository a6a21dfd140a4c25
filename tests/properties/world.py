"""A small world around the real client: some keys, and calls that are watched.

Everything that happens is written down with its moment, so that rules.py can judge it afterwards. Nothing here judges.
"""

import asyncio
from typing import Any

from attrs import define, field

from chatloom_async import AsyncChatloom, Attempt, GetAllowedDomains, RateLimit, RetryPolicy
from tests.properties.surroundings import KEYS, Server, WatchedLimiter
from tests.properties.virtual_loop import VirtualLoop

ORIGIN = "https://chatloom.app"


@define(eq=False)
class Call:
    """One call of the client and what came of it. `ended` and `cancelled` are moments."""

    name: str
    agent: str
    deadline: float | None
    began: float
    task: "asyncio.Task[Any]"
    attempts: list[Attempt] = field(factory=list)
    ended: float | None = None
    cancelled: float | None = None

    def end(self, task: "asyncio.Task[Any]") -> None:
        """Notes the moment; and that the exception, if there is one, has been seen."""
        self.ended = task.get_loop().time()
        _ = task.cancelled() or task.exception()

    @property
    def result(self) -> Any:
        """The value, or the exception, of a call that is over."""
        try:
            return self.task.result()
        except BaseException as error:
            return error


class World:
    """The client with its keys, on a clock of its own."""

    def __init__(self, limit: RateLimit, policy: RetryPolicy, capacity: float) -> None:
        self.loop = VirtualLoop()
        self.limit, self.policy, self.capacity = limit, policy, capacity
        self.server = Server(self.loop)
        self.limiter = WatchedLimiter(limit, self.loop)
        self.client = AsyncChatloom(
            KEYS["anna"],
            transport=self.server,
            rate_limit=self.limiter,
            retry=policy,
            clock=self.loop,
            base_url=ORIGIN,
        )
        for budget in self.budgets:
            budget._capacity = capacity
        self.calls: list[Call] = []

    @property
    def budgets(self) -> Any:
        return self.client._shared.transient, self.client._shared.throttle

    def call(self, name: str, deadline: float | None) -> None:
        """Begins a call."""
        attempts: list[Attempt] = []
        clone = self.client.with_key(KEYS[name]).with_options(deadline=deadline, on_attempt=attempts.append)
        agent = f"agt_{len(self.calls)}"
        task = self.loop.create_task(clone.send(GetAllowedDomains(agent)))
        call = Call(name, agent, deadline, self.loop.time(), task, attempts)
        task.add_done_callback(call.end)
        self.calls.append(call)

    @property
    def under_way(self) -> list[Call]:
        return [call for call in self.calls if not call.task.done()]

    def cancel(self, call: Call) -> None:
        """Cancels a call and lets it end, which takes no time."""
        call.cancelled = self.loop.time()
        call.task.cancel()
        self.loop.settle()

    def finish(self) -> None:
        """Lets everything come to its end: the longest that anything may take is some minutes."""
        for _ in range(100):
            if not self.under_way:
                return
            self.loop.pass_time(60.0)
