"""A transport that answers at once with the same ten agents: what is left is the client's own work."""

from chatloom_async import Request, Response

from ..answers import agents, body


class NullTransport:
    """Every answer is the same object."""

    def __init__(self) -> None:
        self._response = Response(200, {"content-type": "application/json"}, body(agents(10)))

    async def send(self, request: Request) -> Response:
        return self._response

    async def aclose(self) -> None:
        """Nothing to release."""
