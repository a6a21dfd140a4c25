"""The interface of a transport: two methods."""

from typing import Protocol, runtime_checkable

from ..wire.errors import TransportError
from ..wire.message import Request, Response


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

    async def send(self, request: Request) -> Response | TransportError: ...

    async def aclose(self) -> None:
        """Releases all resources. Closing twice is allowed."""
        ...
