"""The steps of a diagnosis, from this machine to the API. Every step has a time limit.

It stops at the first failure that makes the following steps meaningless.
"""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from ssl import SSLContext, create_default_context
from urllib.parse import urlsplit

from attrs import Factory, field, frozen

from ..wire.auth import ApiKey
from .calls import CountingTransport, check_calls, check_clock, check_without_key
from .contract import check_contract
from .journal import Journal, JournalTransport
from .local import KeyReference, check_base_url, check_key, check_proxies, check_versions, installed
from .network import Resolve, check_connection, check_names, check_tls, resolve
from .observation import Observation, TimeLimit, skipped

UNREACHED = "not tried: the step above has to work first"


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class Setup:
    """What to examine. `time_limit` is in seconds and covers all network traffic.

    `ssl`, `resolve` and `now` replace the system's defaults.
    """

    key: KeyReference
    base_url: str | None = None
    base_url_from: str = "--base-url"
    contract: bool = False
    time_limit: float = 30.0
    environment: Mapping[str, str] = field(factory=lambda: os.environ, repr=False)
    versions: Mapping[str, str] = Factory(installed)
    ssl: SSLContext | None = None
    resolve: Resolve = resolve
    now: Callable[[], datetime] = _now


async def examine(setup: Setup, journal: Journal) -> AsyncGenerator[Observation, None]:
    """Yields every observation as soon as it is made. `journal` records the exchanges with the API."""
    yield check_versions(setup.versions)
    key, observations = await check_key(setup.key)
    for observation in observations:
        yield observation
    address, observation = check_base_url(setup.base_url, setup.base_url_from, setup.environment)
    yield observation
    yield check_proxies(setup.environment)
    if address is None:
        return
    limit, reached = TimeLimit(setup.time_limit), True
    async with aclosing(_way(address, setup, limit)) as way:
        async for observation in way:
            yield observation
            reached = observation.state != "wrong"
    if not reached:
        yield skipped("call", UNREACHED)
        return
    async with aclosing(_talk(address, key, setup, limit, journal)) as talk:
        async for observation in talk:
            yield observation


async def _way(address: str, setup: Setup, limit: TimeLimit) -> AsyncGenerator[Observation, None]:
    """The steps up to a usable connection."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    names = check_names(host, port, setup.resolve)
    addresses, observation = await limit.bound(names, ([], limit.passed("names")))
    yield observation
    if not addresses:
        return
    connection = check_connection(addresses, port)
    writer, observation = await limit.bound(connection, (None, limit.passed("connection")))
    yield observation
    if writer is None:
        return
    try:
        if parts.scheme == "http":
            yield skipped("TLS", "none, since the base URL is plain http")
        else:
            context = setup.ssl or create_default_context()
            yield await limit.bound(check_tls(writer, host, context), limit.passed("TLS"))
    finally:
        writer.transport.abort()  # a clean TLS shutdown could wait for the peer


async def _talk(
    address: str, key: ApiKey | None, setup: Setup, limit: TimeLimit, journal: Journal
) -> AsyncGenerator[Observation, None]:
    """The steps that send requests."""
    counting = CountingTransport(ssl=setup.ssl)
    transport = JournalTransport(counting, journal, setup.now)
    transport.purpose = "The agents of the workspace"
    try:
        if key is None:
            answer = await limit.bound(check_without_key(address, transport), limit.passed("answer"))
            calls = [answer, skipped("call", "not tried: it needs a key")]
        else:
            calls = await check_calls(address, key, transport, lambda: counting.opened, limit)
        yield check_clock(journal.answered)
        for observation in calls:
            yield observation
        if setup.contract and key and calls[0].state != "wrong":
            for observation in await check_contract(address, key, transport, limit):
                yield observation
        elif setup.contract:
            yield skipped("contract", "not examined: a call has to work first")
    finally:
        await counting.aclose()
