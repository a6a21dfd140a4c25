"""Carries requests by pyreqwest, which is reqwest, in Rust; its types stay in the files that begin with this name.

What is switched off: pyreqwest_clients.py. One `send` is one request on the wire: reqwest repeats none.
"""

import traceback
import warnings
from collections.abc import AsyncGenerator
from functools import partial
from ssl import SSLContext
from urllib.parse import urlsplit

from ..wire.errors import ClientClosedError, ConfigurationError
from ..wire.message import Request, Response
from ..wire.transport_errors import TransportError
from .body import Body, received
from .keys import PerHeaders
from .per_loop import PerLoop

try:
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response as Answer

    from .pyreqwest_clients import CLIENTS, KEYS_PER_CLIENT, Build, Clients, builder
    from .pyreqwest_errors import body_error, transport_error
    from .pyreqwest_heeding import heeding
    from .pyreqwest_message import build_request, fields_of, prepared
except ModuleNotFoundError as _missing:
    _cure = "pip install 'chatloom-async[pyreqwest]', or '.[pyreqwest]' in a clone"
    raise ImportError(f"PyreqwestTransport needs pyreqwest: {_cure}") from _missing

MAX_BODY = 8 * 2**20
PROXIED_CLIENTS = 64
BODILESS = frozenset({204, 304})


class PyreqwestTransport:
    """HTTP/1.1 over TCP and TLS, with keep-alive, by the HTTP client of Rust.

    Guarantees what AiohttpTransport does: one `send` is one request on the wire; connections are never shared between
    keys, unless `share_connections=True` says so; a body of more than `max_body` bytes, counted after decompression,
    is not read to its end. Works on any event loop, on several in turn too. The creator closes it; closed, it stays so:
    requests under way, and later ones, raise ClientClosedError.

    What is different: a request that is cancelled before its answer's head has come goes on in the background, and
    keeps its connection, until the answer comes or `Timeouts.read` runs out. That time counts from the start of the
    request to the answer's head, connecting included. `ssl` adds its authorities to those of the machine, and its TLS
    versions count; a context that does not check is refused, and its client certificate is not used. Headers that are
    not ASCII are dropped, heads may be larger, and an answer with both a length and chunks is read by its chunks.
    `ConnectionLostError.received` is always False. After a fork, a process that has made a request raises UsageError.
    A process that exits while requests are under way, or were just broken off, may end in an abort (seen in one of
    thirty exits under load).
    """

    def __init__(
        self,
        *,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        max_body: int = MAX_BODY,
        share_connections: bool = False,
        connection_reuse: bool = True,
        name: str = "PyreqwestTransport",
    ) -> None:
        if proxy is not None and urlsplit(proxy).scheme not in ("http", "https"):
            raise ConfigurationError("proxy must be the URL of an HTTP proxy, such as http://proxy.example:3128")
        build = builder(ssl, proxy, reused=connection_reuse)
        room = (1, PROXIED_CLIENTS) if proxy else (KEYS_PER_CLIENT, CLIENTS)  # a proxy would see the user of a URL
        self._clients = PerLoop(partial(_held, build, *room))
        self._prepared = PerHeaders(prepared)
        self._proxied, self._max_body, self._share, self._name = bool(proxy), max_body, share_connections, name

    async def send(self, request: Request) -> Response | TransportError:
        key, headers = self._prepared.of(request.headers)
        key = 0 if self._share else key
        clients = self._clients.known() or await self._clients.here()
        generation = built = None
        try:
            generation = clients.serving(key, request.timeouts)
            built = build_request(request, headers, generation.client, None if self._proxied else key)
            outcome = await self._exchange(request, built)
        except BaseException as problem:
            traceback.clear_frames(problem.__traceback__)  # the frames hold what holds the connection
            if not isinstance(problem, PyreqwestError):
                raise
            outcome = transport_error(problem, request.url, proxied=self._proxied)
        finally:
            del generation, built  # else the traceback of what is raised would keep its connections open
        if self._clients.closed and isinstance(outcome, TransportError):
            raise ClientClosedError("The transport was closed while this request was under way")
        return outcome

    async def _exchange(self, request: Request, built: StreamRequest) -> Response | TransportError:
        answer = await heeding(built.__aenter__())
        whole = False
        try:
            fields = fields_of(answer)
            empty = request.method == "HEAD" or answer.status in BODILESS
            body = b"" if empty else await self._read(answer, fields, request.url)
            whole = isinstance(body, bytes)
        finally:
            if not whole:
                await built.__aexit__(None, None, None)
        return received(answer.status, fields, body)

    async def _read(self, answer: Answer, fields: tuple[tuple[str, str], ...], url: str) -> bytes | TransportError:
        encoding = ", ".join([value for name, value in fields if name == "content-encoding"])
        body = Body(encoding, answer.get_header("content-length"), self._max_body)
        if problem := body.refused():
            return problem
        reader = answer.body_reader
        try:
            while (data := await heeding(reader.read_chunk())) is not None:
                piece = data.to_bytes()
                if not body.received and body.is_all(piece):
                    return piece
                if problem := await body.add(piece):
                    return problem
        except PyreqwestError as broken:
            return body_error(broken, url, body)
        return body.whole()

    async def aclose(self) -> None:
        await self._clients.aclose()

    def __del__(self) -> None:
        if "_clients" in self.__dict__ and self._clients.is_open:
            text = f"{self._name} was not closed: use `async with`, or await its aclose()"
            warnings.warn(text, ResourceWarning, stacklevel=2)


async def _held(build: Build, keys_each: int, kept: int) -> AsyncGenerator[Clients]:
    clients = Clients(build, keys_each, kept)
    try:
        yield clients
    finally:
        await clients.aclose()
