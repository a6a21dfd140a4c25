"""Through a proxy: forwarded in the clear, tunnelled where it is TLS, and refused."""

import socket

import pytest

from chatloom_async import AgentList, APIStatusError, AsyncChatloom, ChatloomError, ConfigurationError, ConnectError
from chatloom_async.transports.network import PROXY_WANTED, checked_proxy
from tests.faults.scenes import only_loopback, replaced, serving, trusting
from tests.raw_server import RawServer, free_port, http
from tests.samples import KEY, OTHER_KEY
from tests.secrets import found
from tests.transports.kinds import Make
from tests.transports.proxy import ALLOWED, PASSWORD, Proxy

GOOD = http(b'{"agents": [], "count": 0}')


async def call(client: AsyncChatloom) -> object:
    """How the call ends."""
    try:
        return await client.list_agents()
    except ChatloomError as error:
        return error


async def ask(make: Make, server: RawServer, proxy: str, *keys: str) -> list[object]:
    """What one call with each key ends with. Neither key nor password is in an error."""
    transport = make(ssl=trusting(), proxy=proxy)
    client = AsyncChatloom(KEY, base_url=server.url, transport=transport, retry=None)
    results = [await call(client.with_key(key)) for key in keys or (KEY,)]
    await transport.aclose()
    leaks = [found(secret, each) for each in results if isinstance(each, ChatloomError) for secret in (KEY, PASSWORD)]
    assert not any(leaks)
    return results


async def test_plain_http_is_forwarded(make: Make) -> None:
    """The proxy sees the whole URL and its password; the password goes in a header of its own."""
    async with RawServer((GOOD,)) as server, Proxy() as proxy:
        assert await ask(make, server, proxy.url()) == [AgentList((), 0)]
    assert proxy.lines == [f"GET {server.url}/api/plugin/agents HTTP/1.1"]
    assert ALLOWED in server.requests[0]  # this proxy forwards everything; a real one takes it out


async def test_tls_goes_through_a_tunnel_that_the_proxy_cannot_look_into(make: Make) -> None:
    """One tunnel for each key, reused; neither the key nor the path is in what the proxy reads."""
    async with RawServer((GOOD,), tls=serving()) as server, Proxy() as proxy:
        assert await ask(make, server, proxy.url(), KEY, OTHER_KEY, KEY, OTHER_KEY) == [AgentList((), 0)] * 4
    assert proxy.lines == [f"CONNECT localhost:{server.port} HTTP/1.1"] * 2
    assert [ALLOWED in request for request in server.requests] == [False] * 4


@pytest.mark.parametrize("user", ["", "user:wrong@"])
async def test_wrong_credentials(user: str, make: Make) -> None:
    """The proxy's own refusal of a tunnel is an error of the connection; nothing reached the API."""
    async with RawServer((GOOD,), tls=serving()) as server, Proxy() as proxy:
        (error,) = await ask(make, server, proxy.url(user))
    assert isinstance(error, ConnectError)
    assert (error.reason, error.retryable, error.sent, server.connections) == ("proxy_auth", False, False, 0)


async def test_wrong_credentials_in_the_clear(make: Make) -> None:
    """There the refusal looks like an answer: its status is reported."""
    async with RawServer((GOOD,)) as server, Proxy() as proxy:
        (error,) = await ask(make, server, proxy.url(""))
    assert isinstance(error, APIStatusError)
    assert (error.status, server.connections) == (407, 0)


async def test_a_proxy_that_is_not_there(make: Make) -> None:
    """It is named as the proxy, without its password."""
    async with RawServer((GOOD,)) as server:
        (error,) = await ask(make, server, f"http://user:{PASSWORD}@127.0.0.1:{free_port()}")
    assert isinstance(error, ConnectError)
    assert (error.reason, error.message) == ("proxy", "No connection to the proxy (ECONNREFUSED)")


async def test_a_proxy_whose_name_does_not_resolve(make: Make) -> None:
    """It is named as the proxy, not as the API's host."""
    async with RawServer((GOOD,)) as server:
        with replaced(socket, "getaddrinfo", only_loopback):
            (error,) = await ask(make, server, f"http://user:{PASSWORD}@no-such-proxy.invalid:3128")
    assert isinstance(error, ConnectError)
    assert (error.reason, error.message) == ("proxy", "The host of the proxy was not found")


REFUSED = {
    "a bracket": f"http://user:{PASSWORD}@[::1",
    "an address that is none": f"http://user:{PASSWORD}@[::1::2]:80",
    "a port that is none": f"http://user:{PASSWORD}@proxy.example:{PASSWORD}",
    "a port that is too large": f"http://user:{PASSWORD}@proxy.example:65536",
    "port 0": f"http://user:{PASSWORD}@proxy.example:0",
    "another scheme": f"socks5://user:{PASSWORD}@proxy.example:1080",
    "no scheme": f"user:{PASSWORD}@proxy.example:1080",
    "no host": f"http://user:{PASSWORD}@",
    "an unquoted slash": f"http://user:{PASSWORD}/@proxy.example",
    "an unquoted at sign": f"http://user:a@{PASSWORD}@proxy.example",
    "a path": f"http://user:{PASSWORD}@proxy.example/path",
    "a query": f"http://user:{PASSWORD}@proxy.example?query",
    "a line break": f"http://user:{PASSWORD}@proxy.example\n",
    "bytes": f"http://user:{PASSWORD}@proxy.example".encode(),
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=list(REFUSED))
def test_a_malformed_proxy_url_is_refused_without_its_password(url: str, make: Make) -> None:
    """The password is neither in the error nor in the local variables of the package's frames."""
    with pytest.raises(ConfigurationError) as caught:
        make(proxy=url)
    frames = caught.value.__traceback__
    caught.value.__traceback__ = frames.tb_next if frames else None  # without this test's own variables
    assert caught.value.message == PROXY_WANTED
    assert found(PASSWORD, caught.value) == []


@pytest.mark.parametrize(
    "url",
    [None, "http://proxy", "https://u%40:p-_.~!$@my_proxy.example:8080/", "http://[::1]:3128", "http://127.0.0.1:1"],
)
def test_the_url_of_a_proxy_is_kept_as_it_is(url: str | None) -> None:
    """Name or address, with or without a user."""
    assert checked_proxy(url) == url
