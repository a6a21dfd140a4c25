"""A small world around the real client: some keys, a server that does what it is told, and calls that are watched.

Everything that happens is written down with its moment, so that rules.py can judge it afterwards. Nothing here judges.
"""

import asyncio
import json
from collections import defaultdict, deque
from math import inf
from typing import Any

from attrs import define, field, frozen

from chatloom_async import (
    ApiKey,
    AsyncChatloom,
    Attempt,
    ConnectError,
    ConnectionLostError,
    GetAllowedDomains,
    PayloadError,
    RateLimit,
    Request,
    Response,
    RetryPolicy,
)
from chatloom_async.policy.limiter import KeyedLimiter
from chatloom_async.wire.transport_errors import TransportError
from tests.properties.virtual_loop import VirtualLoop

KEYS = {name: ApiKey(f"clf_key-of-{name}") for name in ("anna", "bert", "carl")}
ORIGIN = "https://chatloom.app"


@frozen
class Answer:
    """What the server does with one request: `kind` is a status or a way to break, `latency` comes first."""

    kind: int | str
    retry_after: int | None = None
    latency: float = 0.0

    def to(self, name: str, agent: str) -> Response | TransportError:
        """The answer to a request for this agent, signed with the key of this name."""
        broken: dict[object, TransportError] = {
            "lost": ConnectionLostError("scripted"),
            "cut": PayloadError("scripted", reason="cut"),
            "refused": ConnectError("scripted", reason="refused", sent=False),
        }
        if self.kind in broken:
            return broken[self.kind]
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        document: Any = {"domains": [f"{name}.{agent}"]} if self.kind == 200 else {"error": "scripted"}
        return Response(int(self.kind), headers, json.dumps(document).encode())


@define
class Sent:
    """One request that reached the server. `answered` is a moment too, or None where nobody waited for the answer."""

    name: str
    agent: str
    at: float
    answer: Answer
    answered: float | None = None


class Server:
    """A transport. It answers each key by its script, and where that is over, as usual: well, unless told otherwise."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.sent: list[Sent] = []
        self.scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self.usual: dict[str, Answer] = defaultdict(lambda: Answer(200))
        self.in_flight: dict[str, int] = defaultdict(int)
        self.most: dict[str, int] = defaultdict(int)

    async def send(self, request: Request) -> Response | TransportError:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        (name,) = (name for name, each in KEYS.items() if each.reveal() == key)
        agent = request.url.split("/")[-2]
        answer = self.scripts[name].popleft() if self.scripts[name] else self.usual[name]
        sent = Sent(name, agent, self._loop.time(), answer)
        self.sent.append(sent)
        self.in_flight[name] += 1
        self.most[name] = max(self.most[name], self.in_flight[name])
        try:
            await asyncio.sleep(answer.latency)
        finally:
            self.in_flight[name] -= 1
        sent.answered = self._loop.time()
        return answer.to(name, agent)

    async def aclose(self) -> None:
        """Nothing to release."""


@define
class Turn:
    """One wait for a permit: from when, and until when it was granted or, else, given up."""

    asked: float
    granted: float | None = None
    left: float = inf


class WatchedLimiter(KeyedLimiter):
    """The client's own limiter, with a record of who asked, and when they got their turn."""

    def __init__(self, limit: RateLimit, loop: VirtualLoop) -> None:
        super().__init__(limit, loop)
        self._loop = loop
        self.turns: dict[str, list[Turn]] = defaultdict(list)

    async def acquire(self, key: str) -> None:
        turn = Turn(self._loop.time())
        self.turns[key].append(turn)
        try:
            await super().acquire(key)
            turn.granted = self._loop.time()
        finally:
            turn.left = self._loop.time()


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
        return self.client._resources.transient, self.client._resources.throttle

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
