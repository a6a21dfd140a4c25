"""Builds pyreqwest's clients, which do what is asked and nothing else, and keeps the few that are in use.

What is switched off, and why: redirects (the key would go along), the environment's proxies (one is named
explicitly), cookies (off by default), and reqwest's decompression (there is no limit to what comes out of it).
"""

import ssl
from collections.abc import Callable
from datetime import timedelta
from weakref import WeakSet

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.client.types import TlsVersion
from pyreqwest.proxy import ProxyBuilder

from ..wire.errors import ConfigurationError, UsageError
from ..wire.message import Timeouts
from .inflate import ACCEPTED

KEYS_PER_CLIENT = 64  # building a client takes three milliseconds: it reads the machine's certificates
CLIENTS = 2
GRACE = 0.1  # seconds
LIMITS = 4  # pairs of timeouts that are in use at the same time
VERSIONS: dict[ssl.TLSVersion, TlsVersion] = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}

Limits = tuple[float | None, float | None]  # connect and read, in seconds
Build = Callable[[float | None, float | None], Client]


def builder(context: ssl.SSLContext | None, proxy: str | None, *, reused: bool) -> Build:
    """What makes a client for some timeouts. Raises ConfigurationError for a context that rustls cannot follow."""
    if context is not None and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
        raise ConfigurationError("PyreqwestTransport always checks certificates: ssl= must do so, too")

    headers = {"Accept-Encoding": ACCEPTED} | ({} if reused else {"Connection": "close"})

    def build(connect: float | None, read: float | None) -> Client:
        made = ClientBuilder().follow_redirects(False).referer(False).default_headers(headers)
        made = made.gzip(False).brotli(False).zstd(False).deflate(False)
        made = made.proxy(ProxyBuilder.all(proxy)) if proxy else made.no_proxy()
        made = made if connect is None else made.connect_timeout(timedelta(seconds=connect))
        made = made if read is None else made.read_timeout(timedelta(seconds=read))
        made = _trusting(made, context) if context else made
        try:
            return made.build()
        except RuntimeError:
            text = "This process was forked after pyreqwest's first request, whose thread has stayed behind"
            raise UsageError(f"{text}: start processes by 'spawn', or make the first request after the fork") from None

    return build


def _trusting(made: ClientBuilder, context: ssl.SSLContext) -> ClientBuilder:
    """With the authorities and the TLS versions of the context; the machine's authorities stay trusted."""
    for certificate in context.get_ca_certs(binary_form=True):
        made = made.add_root_certificate_der(certificate)
    if lowest := VERSIONS.get(context.minimum_version):
        made = made.min_tls_version(lowest)
    if highest := VERSIONS.get(context.maximum_version):
        made = made.max_tls_version(highest)
    return made


def _limits(timeouts: Timeouts) -> Limits:
    """What reqwest is told. It counts `read` from the start, so connecting must be over by then, or it would be taken
    for a request that was sent. And without a limit, what is cancelled would never end."""
    connect, attempt = timeouts.connect, timeouts.attempt
    read = timeouts.read or (attempt and attempt + GRACE)
    return connect, read and max(read, (connect or 0.0) + GRACE)


class Generation:
    """One client with its limits, and the places that it serves."""

    __slots__ = ("__weakref__", "client", "limits", "served")
    client: Client
    limits: Limits

    def __init__(self, client: Client, limits: Limits) -> None:
        self.client, self.limits = client, limits
        self.served: list[tuple[object, Limits]] = []


class Clients:
    """The clients that requests go to.

    Each pair of connect and read timeouts takes clients of its own, since reqwest has none for single requests. And
    idle connections of thousands of keys would pile up: after `keys_each` keys a new client takes over. The last
    `kept` are kept, so that a key finds its connection again; whoever sends by an older one holds it until it is done.
    """

    def __init__(self, build: Build, keys_each: int, kept: int) -> None:
        self._build, self._keys_each, self._kept = build, keys_each, kept
        self._serving: dict[tuple[object, Limits], Generation] = {}
        self._current: list[Generation] = []  # the newest first
        self._asked: tuple[Timeouts | None, Limits] = (None, (None, None))
        self._alive = WeakSet[Generation]()

    def serving(self, key: object, timeouts: Timeouts) -> Generation:
        """The client for requests that are signed with `key`. Hold it until the request is done."""
        if timeouts is not self._asked[0]:
            self._asked = timeouts, _limits(timeouts)
        place = key, self._asked[1]
        return self._serving.get(place) or self._place(*place)

    async def aclose(self) -> None:
        """Ends every request under way, and lets go of every connection."""
        self._current.clear()
        self._serving.clear()
        for generation in [*self._alive]:
            await generation.client.close()

    def _place(self, key: object, limits: Limits) -> Generation:
        fitting = (each for each in self._current if each.limits == limits and len(each.served) < self._keys_each)
        generation = next(fitting, None)
        if generation is None:
            generation = Generation(self._build(*limits), limits)
            self._alive.add(generation)
            self._current.insert(0, generation)
            self._retire(limits)
        generation.served.append((key, limits))
        self._serving[key, limits] = generation
        return generation

    def _retire(self, limits: Limits) -> None:
        """Forgets the oldest clients with these limits, and those whose limits nobody has asked for in a while."""
        alike = [each for each in self._current if each.limits == limits]
        kept = [each for each in self._current if each not in alike[self._kept :]][: LIMITS * self._kept]
        for place in [place for each in self._current if each not in kept for place in each.served]:
            del self._serving[place]
        self._current = kept
