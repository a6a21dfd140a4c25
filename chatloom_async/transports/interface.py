"""The interface of a transport, and the simplest transport: one for tests."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, Protocol, runtime_checkable

from ..wire.errors import ChatloomError, TransportError, UsageError
from ..wire.message import Request, Response
from ..wire.validation import Requirement, has_methods

Answer = Response | TransportError
ANSWERS: Final = (Response, TransportError)


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
    if isinstance(answer, ANSWERS):
        return answer
    raise UsageError(f"The transport returned {type(answer).__name__}, not a Response or a TransportError")


Handler = Callable[[Request], Answer | Awaitable[Answer]]


class MockTransport:
    """Answers every request with `handler(request)`, sync or async. `requests` are the sent requests, in order.

    The handler returns a `Response`, or returns or raises a TransportError to simulate a broken network. The call
    raises UsageError if it returns anything else.

        transport = MockTransport(lambda request: Response(200, body=b'{"agents": [], "count": 0}'))
        client = AsyncChatloom("clf_test", transport=transport)
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self._handler(request)
        if isawaitable(answer):
            answer = await answer
        if not isinstance(answer, (Response, ChatloomError)):
            raise UsageError(f"The handler of a MockTransport returned {type(answer).__name__}, not a Response")
        return answer

    async def aclose(self) -> None:
        """Nothing to release."""
