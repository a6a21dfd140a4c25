"""AiohttpTransport without a network: what it makes of aiohttp's answers and exceptions.

aioresponses takes the place of aiohttp's session below its public face. It knows no timeouts, limits, cookies and
redirects, so everything that depends on those is tested over real sockets in the other files.
"""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from chatloom_async import (
    AiohttpTransport,
    AttemptTimeoutError,
    ConnectionLostError,
    PayloadError,
    ProtocolError,
    Response,
    ResponseTooLargeError,
    TransportError,
)
from tests.samples import KEY
from tests.secrets import found
from tests.signed import signed

SERVER = "https://api.example"
URL = f"{SERVER}/api/plugin/agents"


class Written:
    output_size = 0


class Answer(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not pass the argument `stream_writer`, which aiohttp demands since 3.14."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("stream_writer", Written())
        super().__init__(*args, **options)


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    """One that takes bodies of 100 bytes."""
    made = AiohttpTransport(max_body=100)
    yield made
    await made.aclose()


async def test_aioresponses_needs_our_answer_class(transport: AiohttpTransport) -> None:
    """Fails once aioresponses works with aiohttp by itself; `Answer` can go then."""
    with aioresponses() as network:
        network.get(URL, body=b"{}")
        with pytest.raises(TypeError, match="stream_writer"):
            await transport.send(signed(SERVER))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"body": b"{}"}, Response(200, {"Content-Type": "application/json"}, b"{}")),
        ({"body": b"", "status": 204}, Response(204, {"Content-Type": "application/json"})),
        ({"body": b"{}", "status": 404}, Response(404, {"Content-Type": "application/json"}, b"{}")),
        ({"body": b"{}", "headers": {"A": "b"}}, Response(200, {"Content-Type": "application/json", "A": "b"}, b"{}")),
        ({"body": b"x" * 100}, Response(200, {"Content-Type": "application/json"}, b"x" * 100)),
        ({"body": b"x" * 101}, ResponseTooLargeError("The body is longer than 100 bytes")),
        (
            {"body": b"x", "headers": {"Content-Encoding": "br"}},
            PayloadError("The body is compressed in a way that was not asked for", reason="unasked"),
        ),
        (
            {"exception": aiohttp.ServerDisconnectedError()},
            ConnectionLostError(
                "The connection to https://api.example ended before an answer (closed)", reason="closed"
            ),
        ),
        (
            {"exception": aiohttp.SocketTimeoutError()},
            AttemptTimeoutError("https://api.example stopped sending for too long", reason="read"),
        ),
        (
            {"exception": aiohttp.ClientError()},
            ProtocolError("The exchange with https://api.example failed (ClientError)", reason="client"),
        ),
    ],
)
async def test_what_aiohttp_gives_comes_back_as_a_value(
    transport: AiohttpTransport, answer: dict[str, Any], expected: Response | TransportError
) -> None:
    """An answer is a Response; what is wrong with it, or comes instead, is an error of ours: returned, not raised."""
    with aioresponses() as network:
        network.get(URL, response_class=Answer, **answer)
        assert await transport.send(signed(SERVER)) == expected


async def test_what_is_no_failure_of_the_transport_is_raised_without_the_frames_that_know_the_key(
    transport: AiohttpTransport,
) -> None:
    """A mistake in this process is not disguised as trouble with the network."""
    with aioresponses() as network:
        network.get(URL, exception=LookupError("a mistake"))
        with pytest.raises(LookupError, match=r"^a mistake") as caught:
            await transport.send(signed(SERVER))
    assert found(KEY, caught.value) == []
