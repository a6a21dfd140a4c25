"""The walk as a whole: which steps are taken, where it ends, and what it leaves behind."""

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from chatloom_async import ApiKey, InvalidApiKeyError, Sandbox
from chatloom_async.diagnosis import Journal, Observation, Setup, examine
from chatloom_async.diagnosis.local import GivenKey
from tests.faults.scenes import serving, tls, trusting
from tests.raw_server import RawServer, free_port, http
from tests.samples import KEY

WITH_KEY = GivenKey("a test", ApiKey(KEY))
WITHOUT_KEY = GivenKey("a test", InvalidApiKeyError("There is none"))
NO_AGENTS = http(b'{"agents": [], "count": 0}', "200 OK", "Date: Thu, 15 Jan 2026 09:00:00 GMT")
HERE = ["versions ok", "key ok", "base URL ok", "proxies ok"]


async def walk(**options: Any) -> tuple[list[str], Journal, list[Observation]]:
    """The steps with their states, and what was written down."""
    journal = Journal()
    setup = Setup(**{"key": WITH_KEY, "environment": {}, **options})
    told = [each async for each in examine(setup, journal)]
    return [f"{each.subject} {each.state}" for each in told], journal, told


def here(host: str, port: int) -> Any:
    """Every name is this machine's."""
    return [(0, 0, 0, "", ("127.0.0.1", port))]


async def test_the_whole_way_over_tls() -> None:
    """Every step that there is, and the clock by the last answer."""
    async with RawServer((NO_AGENTS,), tls=serving()) as server:
        now = datetime(2026, 1, 15, 9, tzinfo=UTC)
        steps, journal, told = await walk(base_url=server.url, ssl=trusting(), resolve=here, now=lambda: now)
    way = ["names ok", "connection ok", "TLS ok", "clock ok", "call ok", "latency ok"]
    assert steps == [*HERE, *way]
    assert {entry.purpose for entry in journal.entries} == {"The agents of the workspace"}
    assert len(journal.entries) == 4
    assert KEY not in repr(journal.entries) + repr(told)


async def test_the_whole_way_over_plain_http_with_the_contract() -> None:
    """TLS is skipped with a note; the contract comes last."""
    sandbox = Sandbox(seed=7, trouble=0)
    key = GivenKey("a test", sandbox.add_workspace("acme").key)
    async with sandbox.serve() as url:
        steps, _, told = await walk(key=key, base_url=url, contract=True)
    way = ["names skipped", "connection ok", "TLS skipped", "clock ok", "call ok", "latency ok"]
    assert steps[:10] == [*HERE, *way]
    assert {each.chapter for each in told[:10]} == {"way"}
    assert {each.chapter for each in told[10:]} == {"contract"}
    assert [each for each in told[10:] if each.state != "ok"] == told[-1:]


async def test_without_a_key_it_goes_up_to_the_call() -> None:
    """A request without a key shows whether the API is there; the contract cannot be examined."""
    sandbox = Sandbox(seed=7)
    async with sandbox.serve() as url:
        steps, _, _ = await walk(key=WITHOUT_KEY, base_url=url, contract=True)
    start = ["versions ok", "key wrong", "base URL ok", "proxies ok", "names skipped", "connection ok", "TLS skipped"]
    assert steps == [*start, "clock ok", "answer ok", "call skipped", "contract skipped"]


async def test_a_call_that_fails_ends_it() -> None:
    """The contract is not examined then, but the clock is compared all the same."""
    async with Sandbox(seed=7).serve() as url:
        steps, journal, _ = await walk(base_url=url, contract=True)
    assert steps[-3:] == ["clock ok", "call wrong", "contract skipped"]
    assert [entry.status for entry in journal.entries] == [401]


async def test_an_address_that_is_none_ends_it() -> None:
    """Nothing goes over the network."""
    steps, _, _ = await walk(base_url="http://chatloom.app")
    assert steps == ["versions ok", "key ok", "base URL wrong", "proxies ok"]


def unknown(host: str, port: int) -> Any:
    """No name is anybody's."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("url", "resolve", "steps"),
    [
        ("https://chatloom.invalid", unknown, ["names wrong"]),
        ("https://chatloom.invalid:{port}", here, ["names ok", "connection wrong"]),
        ("http://localhost:{port}", here, ["names ok", "connection wrong"]),
    ],
)
async def test_a_step_that_fails_ends_it(url: str, resolve: Any, steps: list[str]) -> None:
    """What comes after it is said not to have been tried."""
    assert (await walk(base_url=url.format(port=free_port()), resolve=resolve))[0] == [*HERE, *steps, "call skipped"]


async def test_a_certificate_that_is_refused_ends_it() -> None:
    """No request is sent, and so no key."""
    async with tls(expired=True)() as scene:
        assert scene.server
        steps, journal, _ = await walk(base_url=scene.url, ssl=scene.ssl, resolve=here)
        assert scene.server.requests == []
    assert (steps[-2:], journal.entries) == (["TLS wrong", "call skipped"], [])


async def test_a_server_without_a_clock_and_one_that_says_nothing() -> None:
    """Nothing is compared where there is nothing to compare with."""
    async with RawServer((http(b'{"agents": [], "count": 0}'),)) as server:
        assert "clock skipped" in (await walk(base_url=server.url))[0]
    async with RawServer((b"nonsense\r\n\r\n",)) as server:
        assert (await walk(base_url=server.url))[0][-2:] == ["clock skipped", "call wrong"]


async def test_the_system_is_asked_for_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment, its authorities and its clock."""
    monkeypatch.setenv("CHATLOOM_BASE_URL", "http://127.0.0.1:1")
    setup = Setup(key=WITH_KEY)
    assert (setup.environment["CHATLOOM_BASE_URL"], setup.now().tzinfo) == ("http://127.0.0.1:1", UTC)
    async with RawServer((NO_AGENTS,), tls=serving()) as server:
        steps, _, told = await walk(base_url=server.url, resolve=here)
    assert steps[-2:] == ["TLS wrong", "call skipped"]
    assert told[-2].found == "the certificate comes from an authority that this machine does not know"
