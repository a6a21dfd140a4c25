"""The interface of a transport: two methods. A transport that does not follow it gets a UsageError."""

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any, Final, Protocol, runtime_checkable

from ..wire.errors import TransportError, UsageError
from ..wire.message import Request, Response
from ..wire.validation import Requirement, has_methods

Answer = Response | TransportError


@runtime_checkable
class Transport(Protocol):
    """Sends one request and returns the response with its whole body.

    A failure is returned, not raised: a traceback through a transport would contain the signed headers. (The client
    also accepts a raised TransportError.) A transport does not retry, follow redirects, keep cookies or check statuses.
    It honours `request.timeouts.connect` and `.read`; the client limits the whole attempt by cancelling `send`.

        class Counting:
            count = 0

            def __init__(self, inner):
                self.inner = inner

            async def send(self, request):
                self.count += 1
                return await self.inner.send(request)

            async def aclose(self):
                await self.inner.aclose()

        transport = Counting(AiohttpTransport())
        await AsyncChatloom(transport=transport).list_agents()
        await transport.aclose()
        print(transport.count)  # 1
    """

    async def send(self, request: Request) -> Answer: ...

    async def aclose(self) -> None:
        """Releases all resources. Closing twice is allowed."""
        ...


TRANSPORT: Final = Requirement("a Transport with send()", lambda value: has_methods(value, "send"))


def start_send(transport: Transport, request: Request) -> Awaitable[object]:
    """Calls `send`. Raises UsageError if it is not async."""
    sending: Any = transport.send(request)
    if isawaitable(sending):
        return sending
    name, kind = type(transport).__name__, type(sending).__name__
    raise UsageError(f"send() of {name} is not async, it returned {kind}: write `async def send(self, request)`")


def checked(answer: object) -> Answer:
    """What `send` returned. Raises UsageError if it is something else than an answer."""
    if isinstance(answer, (Response, TransportError)):
        return answer
    raise UsageError(f"The transport returned {type(answer).__name__}, not a Response or a TransportError")
