"""The ASGI application, beside carrying answers."""

from typing import Any

import httpx
import pytest

from chatloom_async.sandbox import Sandbox
from chatloom_async.sandbox.skins import BrokenOffError
from tests.sandbox.skins import bearer

LIST = "/api/plugin/agents"


async def test_lifespan(sandbox: Sandbox) -> None:
    """Start-up and shutdown are confirmed to the server, in this order."""
    received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    await sandbox.asgi()({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


async def test_other_scopes(sandbox: Sandbox) -> None:
    """A websocket is refused: the API has none."""
    with pytest.raises(NotImplementedError, match="websocket"):
        await sandbox.asgi()({"type": "websocket"}, None, None)  # type: ignore[arg-type]


MOUNTS = [("/mounted", "/mounted"), ("/a b/\u00fc", "/a%20b/%c3%bc"), ("/a+b", "/a%2Bb"), ("/v1/", "/v1"), ("", "")]


@pytest.mark.parametrize(("root", "quoted"), MOUNTS)
@pytest.mark.parametrize("raw", [True, False])
async def test_mounted_in_another_application(sandbox: Sandbox, root: str, quoted: str, raw: bool) -> None:
    """Below a mount point the path counts from there, however that is quoted, with or without the raw path."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.add_agent(id="agt_abc123", domains=["example.com"])
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "root_path": root,
        "path": f"{root.rstrip('/')}/api/plugin/agents/agt_abc123/allowed-domains",
        "raw_path": f"{quoted}/api/plugin/agents/agt%5Fabc123/allowed-domains".encode() if raw else None,
        "headers": [(b"x-api-key", acme.key.reveal().encode())],
    }
    await sandbox.asgi()(scope, None, send)  # type: ignore[arg-type]
    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"27")],
        },
        {"type": "http.response.body", "body": b'{"domains":["example.com"]}', "more_body": False},
    ]


async def test_broken_connections_under_asgi(sandbox: Sandbox) -> None:
    """ASGI knows no broken connections: an exception leaves the application, which is a ConnectionError."""
    acme = sandbox.add_workspace("acme")
    acme.fails("lost")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.asgi()), base_url="http://test") as client:
        with pytest.raises(BrokenOffError, match="first byte"):
            await client.get(LIST, headers=bearer(acme.key))
    assert issubclass(BrokenOffError, ConnectionError)
