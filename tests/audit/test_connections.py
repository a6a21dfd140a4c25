"""Which connections an audit opens, on real sockets: one for each workspace, and none that has nothing to do."""

import asyncio
import json

import pytest

from chatloom_async import ApiKey, AsyncChatloom, MockTransport
from chatloom_async.audit import Workspace, audit
from chatloom_async.audit.rules import Judge
from tests.raw_server import RawServer, Script, http
from tests.samples import AGENT, DOMAINS, KEY, OTHER_KEY, api

AGENTS = {"agents": [{**AGENT, "id": f"agt_{number}"} for number in range(7)], "count": 7}
WORKSPACES = [Workspace(f"w{number}", ApiKey(f"{KEY}{number}")) for number in range(30)]


def respond(request: bytes) -> Script:
    """Seven agents, each with the documented domains."""
    return (http(json.dumps(DOMAINS if b"allowed-domains" in request.split(b"\r\n")[0] else AGENTS).encode()),)


async def test_a_workspace_takes_one_connection_which_is_closed_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key is not needed again, so neither the connection nor the signed headers are kept."""
    for slow in ("reading.SLOW_LIST", "reading.SLOW_ANSWER", "lanes.STUCK_AFTER"):
        monkeypatch.setattr(f"chatloom_async.audit.{slow}", 60.0)  # no answer is slow, however busy the machine is
    async with RawServer(respond) as server, AsyncChatloom(OTHER_KEY, base_url=server.url) as client:
        open_connections: list[int] = []
        async for row in audit(WORKSPACES, client=client, judge=Judge(()), concurrency=4):
            assert (row.state, row.requests) == ("ok", 8)
            await asyncio.sleep(0.001)
            open_connections.append(len(server.open))
        assert (server.connections, len(server.requests)) == (30, 240)
        assert max(open_connections) <= 15
    for workspace in WORKSPACES:
        assert isinstance(workspace.key, ApiKey)
        assert workspace.key._signed == {}


async def test_releasing_a_key_leaves_other_keys_alone() -> None:
    """And calls with it go on working."""
    async with RawServer(respond) as server, AsyncChatloom(KEY, base_url=server.url) as client:
        other = client.with_key(OTHER_KEY)
        for chatloom in (client, other, client):
            await chatloom.list_agents()
        assert server.connections == 2
        await other.release_key()
        await client.list_agents()
        assert server.connections == 2
        await other.list_agents()
        assert server.connections == 3


async def test_a_transport_without_idle_connections_has_none_to_close() -> None:
    """Nor has a key that was never used."""
    client = AsyncChatloom(KEY, transport=MockTransport(api))
    await client.release_key()
    agents = await client.list_agents()
    await client.release_key()
    assert await client.list_agents() == agents
