"""What a fault looks like from the client's side: a server, or none, and what the client is told about it."""

import os
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, TLSVersion, create_default_context
from tempfile import TemporaryDirectory
from typing import Any

import trustme
from attrs import field, frozen

from chatloom_async import MockTransport, Request
from chatloom_async.transports.interface import Transport
from tests.raw_server import FIN, SILENCE, RawServer, Script, deaf_port, free_port, http


@frozen
class Scene:
    """Where to call, and how. `server` counts what arrives; for some faults there is none."""

    url: str
    server: RawServer | None = None
    ssl: SSLContext | None = None
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    transport: Transport | None = None


SceneMaker = Callable[[], AbstractAsyncContextManager[Scene]]


def plays(*scripts: Script, **options: Any) -> SceneMaker:
    """A server with these scripts, one for each request."""

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        async with RawServer(*scripts, **options) as server:
            yield Scene(server.url, server)

    return scene


@asynccontextmanager
async def refused() -> AsyncIterator[Scene]:
    """Nobody listens."""
    yield Scene(f"http://127.0.0.1:{free_port()}")


@asynccontextmanager
async def black_hole() -> AsyncIterator[Scene]:
    """Nobody even refuses."""
    async with deaf_port() as port:
        yield Scene(f"http://127.0.0.1:{port}")


def no_such_host(code: int) -> SceneMaker:
    """Name resolution fails with this code of getaddrinfo."""

    def fails(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "scripted")

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        with replaced(socket, "getaddrinfo", fails):
            yield Scene("https://chatloom.invalid")

    return scene


look_up = socket.getaddrinfo


def only_loopback(host: str | bytes, *arguments: Any, **options: Any) -> Any:
    """In the place of getaddrinfo: nobody but this machine is known."""
    host = host.decode() if isinstance(host, bytes) else host
    host.encode("idna")  # as the real one does: it fails for a label that is too long
    if host not in ("localhost", "127.0.0.1"):
        raise socket.gaierror(socket.EAI_NONAME, "tests talk to loopback addresses only")
    return look_up(host, *arguments, **options)


@asynccontextmanager
async def slow_names() -> AsyncIterator[Scene]:
    """Name resolution does not come to an end before the scene does."""
    ended = threading.Event()

    def waits(*_: Any, **__: Any) -> Any:
        ended.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "scripted")

    with replaced(socket, "getaddrinfo", waits):
        try:
            yield Scene("https://chatloom.invalid")
        finally:
            ended.set()


@asynccontextmanager
async def no_descriptors() -> AsyncIterator[Scene]:
    """The process may open nothing more, since every number below its limit is taken."""
    async with RawServer((http(),)) as server:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            yield Scene(server.url, server)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raises(problem: BaseException) -> SceneMaker:
    """Not a fault of the network: something in this process gives up."""

    def handler(_: Request) -> Any:
        raise problem

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        yield Scene("http://127.0.0.1:1", transport=MockTransport(handler))

    return scene


def proxy(*scripts: Script) -> SceneMaker:
    """A proxy that answers CONNECT, and what else it gets, by these scripts."""

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        async with RawServer(*scripts) as server:
            yield Scene("https://chatloom.invalid", server, proxy=server.url.replace("//", "//user:proxy-password@"))

    return scene


@asynccontextmanager
async def no_proxy() -> AsyncIterator[Scene]:
    """A proxy is named, and nobody listens there."""
    yield Scene("https://chatloom.invalid", proxy=f"http://user:proxy-password@127.0.0.1:{free_port()}")


def _netrc(folder: str) -> Path:
    file = Path(folder, "netrc")
    file.write_text("default login netrc-user password netrc-password\n", "utf-8")
    file.chmod(0o600)
    return file


@asynccontextmanager
async def tempting_environment() -> AsyncIterator[Scene]:
    """A proxy and credentials for the host that only the environment knows of."""
    async with RawServer((http(b'{"agents": [], "count": 0}'),)) as server:
        with TemporaryDirectory() as folder:
            netrc = _netrc(folder)
            dead = f"http://127.0.0.1:{free_port()}"
            given = {"NETRC": str(netrc), "HTTP_PROXY": dead, "http_proxy": dead, "no_proxy": "", "NO_PROXY": ""}
            before = {name: os.environ.get(name) for name in given}
            os.environ.update(given)
            try:
                yield Scene(server.url, server)
            finally:
                for name, value in before.items():
                    os.environ.pop(name) if value is None else os.environ.update({name: value})


@cache
def authority() -> trustme.CA:
    """Who signs the certificates of these tests."""
    return trustme.CA()


@cache
def trusting() -> SSLContext:
    """A client's context that trusts the tests' authority only."""
    context = create_default_context()
    authority().configure_trust(context)
    return context


def serving(host: str = "localhost", **options: Any) -> SSLContext:
    """A server's context, with a certificate of the tests' authority."""
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority().issue_cert(host, **options).configure_cert(context)
    return context


def tls(*, trusted: bool = True, host: str = "localhost", expired: bool = False, old: bool = False) -> SceneMaker:
    """A TLS server with something wrong about it."""

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        now = datetime.now(UTC)
        context = serving(
            host, not_before=now - timedelta(9), not_after=now - timedelta(1) if expired else now + timedelta(9)
        )
        client = create_default_context() if trusted else None
        if client:
            authority().configure_trust(client)
            if old:
                context.maximum_version, client.minimum_version = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
        async with RawServer((http(),), tls=context) as server:
            yield Scene(server.url, server, ssl=client)

    return scene


def no_tls(*greeting: Any) -> SceneMaker:
    """A plain server where TLS was expected."""

    @asynccontextmanager
    async def scene() -> AsyncIterator[Scene]:
        async with RawServer((SILENCE,), greeting=greeting) as server:
            yield Scene(server.url.replace("http", "https").replace("127.0.0.1", "localhost"), server, ssl=trusting())

    return scene


@asynccontextmanager
async def only_tls() -> AsyncIterator[Scene]:
    """TLS where a plain server was expected."""
    async with RawServer((FIN,), tls=serving()) as server:
        yield Scene(f"http://127.0.0.1:{server.port}", server)


class replaced:  # noqa: N801  # reads as what it does
    """Sets an attribute for a while."""

    def __init__(self, owner: object, name: str, value: object) -> None:
        self._owner, self._name, self._value = owner, name, value

    def __enter__(self) -> None:
        self._before = getattr(self._owner, self._name)
        setattr(self._owner, self._name, self._value)

    def __exit__(self, *_: object) -> None:
        setattr(self._owner, self._name, self._before)
