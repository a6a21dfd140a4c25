"""The transport for users' own tests."""

from collections.abc import Callable
from typing import Any

import pytest

from chatloom_async import ConnectionLostError, MockTransport, Request, Response, Transport, UsageError
from tests.signed import signed

REQUEST = signed("https://api.example")
LOST = ConnectionLostError("scripted")


async def later(request: Request) -> Response:
    """An answer that names the address."""
    return Response(200, body=request.url.encode())


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (lambda request: Response(200, body=request.url.encode()), Response(200, body=REQUEST.url.encode())),
        (later, Response(200, body=REQUEST.url.encode())),
        (lambda request: LOST, LOST),
    ],
)
async def test_the_handler_answers(handler: Callable[[Request], Any], expected: object) -> None:
    """Sync or async, with a response or a failure; what was asked is written down."""
    transport = MockTransport(handler)
    assert await transport.send(REQUEST) == expected
    assert transport.requests == [REQUEST]
    await transport.aclose()
    await transport.aclose()


async def test_a_handler_that_returns_something_else_is_told_so() -> None:
    """Rather than the client failing later on."""
    with pytest.raises(UsageError, match="returned dict, not a Response"):
        await MockTransport(lambda request: {}).send(REQUEST)  # type: ignore[arg-type,return-value]


def test_it_is_a_transport() -> None:
    """As the protocol says."""
    assert isinstance(MockTransport(later), Transport)
