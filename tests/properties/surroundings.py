"""What surrounds the client in a world: a server that does what it is told, and a limiter that is watched.

Both write down what happens, with its moment. Nothing here judges.
"""

import asyncio
import json
from collections import defaultdict, deque
from math import inf
from typing import Any

from attrs import define, frozen

from chatloom_async import (
    ApiKey,
    ConnectError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    RateLimit,
    Request,
    Response,
)
from chatloom_async.policy.limiter import KeyedLimiter
from chatloom_async.wire.errors import TransportError
from tests.properties.virtual_loop import VirtualLoop

KEYS = {name: ApiKey(f"clf_key-of-{name}") for name in ("anna", "bert", "carl")}


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
            "garbled": ProtocolError("scripted", reason="invalid"),
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
