"""A transport for tests: a function answers, without a network."""

import inspect
from collections.abc import Awaitable, Callable

from ..wire.errors import ChatloomError, UsageError
from ..wire.message import Request, Response
from .interface import Answer

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
        if inspect.isawaitable(answer):
            answer = await answer
        if not isinstance(answer, (Response, ChatloomError)):
            raise UsageError(f"The handler of a MockTransport returned {type(answer).__name__}, not a Response")
        return answer

    async def aclose(self) -> None:
        """Nothing to release."""
