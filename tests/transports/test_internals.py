"""What happens with an aiohttp whose private names have changed: an error, or a slower way, but no silence."""

import gc
import inspect
import re
import sys
import textwrap
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import connector
from aiohttp.client_proto import ResponseHandler

from chatloom_async import AiohttpTransport, ConfigurationError, Response
from chatloom_async.transports.aiohttp.connection import SUPPORTED, WatchedConnection
from tests.raw_server import RawServer, http
from tests.samples import KEY, OTHER_KEY
from tests.signed import signed

EMPTY = http(b'{"agents": [], "count": 0}')
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def rewritten(owner: type, name: str, old: str, new: str) -> Any:
    """The function `name` of a class, compiled anew with another name in its place."""
    function = vars(owner)[name]
    source = re.sub(rf"\b{old}\b", new, textwrap.dedent(inspect.getsource(function)))
    whole = f"def make(__class__):\n{textwrap.indent(source, ' ')}\n return {new if name == old else name}"
    namespace: dict[str, Any] = {}
    exec(compile(whole, f"<{owner.__name__}.{name}>", "exec"), sys.modules[owner.__module__].__dict__, namespace)
    return namespace["make"](owner)


def rename(patch: pytest.MonkeyPatch, old: str, *owners: type) -> None:
    """Renames a private name wherever these classes use it, as their next version may do."""
    new = f"{old}_renamed"
    for owner in owners:
        for name, function in list(vars(owner).items()):
            if inspect.isfunction(function) and re.search(rf"\b{old}\b", inspect.getsource(function)):
                changed = rewritten(owner, name, old, new)
                if name == old:
                    patch.delattr(owner, name)
                patch.setattr(owner, changed.__name__, changed, raising=False)


def connection_key(patch: pytest.MonkeyPatch) -> None:
    """The connector asks requests for something else."""
    patch.setattr(aiohttp.ClientRequest, "pool_key", aiohttp.ClientRequest.connection_key, raising=False)
    patch.setattr(
        connector.BaseConnector, "connect", rewritten(connector.BaseConnector, "connect", "connection_key", "pool_key")
    )


BROKEN: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "_retry_connection": (
        lambda patch: rename(patch, "_retry_connection", aiohttp.ClientSession),
        "its hidden repetition of requests cannot be switched off",
    ),
    "connection_key": (connection_key, "it would share connections between API keys"),
    "_create_connection": (
        lambda patch: rename(patch, "_create_connection", connector.BaseConnector, connector.TCPConnector),
        "its pool of connections has changed (ClientConnectorError)",
    ),
    "_release": (
        lambda patch: rename(patch, "_release", connector.BaseConnector, connector.Connection),
        "the number of its connections cannot be bounded",
    ),
    "_get": (
        lambda patch: rename(patch, "_get", connector.BaseConnector),
        "its connections would not be reused and closed",
    ),
    "_acquired": (
        lambda patch: rename(patch, "_acquired", connector.BaseConnector),
        "its pool of connections has changed (AttributeError)",
    ),
    "_factory": (
        lambda patch: rename(patch, "_factory", connector.BaseConnector, connector.TCPConnector),
        "its connections are not of the configured class",
    ),
    "_payload": (
        lambda patch: rename(patch, "_payload", ResponseHandler),
        "its pool of connections has changed (AttributeError)",
    ),
    "_reschedule_timeout": (
        lambda patch: rename(patch, "_reschedule_timeout", ResponseHandler),
        "a connection that ends would not be noticed",
    ),
    "feed_data": (
        lambda patch: patch.setattr(WatchedConnection, "feed_data", ResponseHandler.feed_data),
        "a flood of interim answers would not be noticed",
    ),
    "_on_read_timeout": (
        lambda patch: rename(patch, "_on_read_timeout", ResponseHandler),
        "its connections have changed (AttributeError)",
    ),
}


@pytest.mark.parametrize(("change", "what"), BROKEN.values(), ids=list(BROKEN))
async def test_an_aiohttp_that_would_break_a_promise_is_refused(
    change: Callable[[pytest.MonkeyPatch], None], what: str
) -> None:
    """Before anything is sent, and with the versions that work."""
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        with pytest.MonkeyPatch.context() as patch:
            change(patch)
            with pytest.raises(ConfigurationError) as caught:
                await transport.send(signed(server.url))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # what cannot be released is only collected
                gc.collect()
        await transport.aclose()
    assert caught.value.message == f"aiohttp {aiohttp.__version__} cannot be used: {what}. Install {SUPPORTED}"
    assert server.requests == []


@pytest.mark.parametrize("name", ["start_timeout", "is_connected"])
async def test_without_what_makes_requests_cheaper_the_session_sends_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same guarantees."""
    sent: list[str] = []
    request: Any = aiohttp.ClientSession.request

    def seen(self: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        sent.append(method)
        return request(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", seen)
    if name == "start_timeout":
        rename(monkeypatch, name, ResponseHandler, aiohttp.ClientRequest)
    else:
        monkeypatch.setattr("chatloom_async.transports.aiohttp.exchange.Echo.write", lambda self, data: None)
    async with RawServer((EMPTY,)) as server:
        transport = AiohttpTransport()
        answers = [await transport.send(signed(server.url, key)) for key in (KEY, OTHER_KEY, KEY)]
        await transport.aclose()
    assert ([type(answer) for answer in answers], sent, server.connections) == ([Response] * 3, ["GET"] * 3, 2)


def test_the_supported_versions_are_those_of_the_package() -> None:
    """The error names what pyproject.toml allows."""
    dependencies = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    assert [each for each in dependencies if each.startswith("aiohttp")] == [SUPPORTED]
