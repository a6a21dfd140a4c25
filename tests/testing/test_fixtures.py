"""The fixtures, as pytest finds them through the package's entry point."""

import asyncio
import json
import threading
from collections.abc import Callable
from importlib import metadata
from urllib.request import Request, urlopen

import pytest

from chatloom_async import AsyncChatloom, AttemptTimeoutError, NotFoundError, Sandbox, Timeouts
from chatloom_async.testing import VirtualClock


def test_pytest_finds_the_plugin() -> None:
    """By an entry point of the installed package."""
    (found,) = metadata.entry_points(group="pytest11", name="chatloom_async")
    assert found.value == "chatloom_async.testing.plugin"


async def test_the_client_talks_to_the_sandbox(chatloom_client: AsyncChatloom, chatloom_sandbox: Sandbox) -> None:
    """One workspace, the same in every run, and no account."""
    acme = chatloom_sandbox["acme"]
    agents = await chatloom_client.list_agents()
    assert ([*chatloom_sandbox], len(agents)) == ([acme], 12)
    assert [agent.id for agent in agents] == [agent.id for agent in acme.agents]


async def test_waits_of_the_client_are_on_the_clock(
    chatloom_client: AsyncChatloom, chatloom_sandbox: Sandbox, chatloom_clock: VirtualClock
) -> None:
    """A Retry-After, the rate limit of a hundred calls at once, and a slow answer take no time."""
    acme = chatloom_sandbox["acme"]
    acme.fails(429, retry_after=30)
    await chatloom_client.list_agents()
    assert (chatloom_clock.now, chatloom_clock.slept) == (30.0, [30.0])
    some = acme.agents[0].id
    await asyncio.gather(*(chatloom_client.get_allowed_domains(some) for _ in range(100)))
    assert 20 < chatloom_clock.now - 30 < 60
    acme.fails("slow", times=None, seconds=20)
    with pytest.raises(AttemptTimeoutError):
        await chatloom_client.with_options(retry=None).list_agents()
    assert chatloom_clock.slept[-1] == Timeouts().read


async def test_the_sandbox_has_no_rate_limit_of_its_own(
    chatloom_client: AsyncChatloom, chatloom_sandbox: Sandbox
) -> None:
    """A 429 comes when a test says so, and only then."""
    unlimited = chatloom_client.with_options(rate_limit=None, retry=None)
    assert len(await asyncio.gather(*(unlimited.list_agents() for _ in range(200)))) == 200
    assert chatloom_sandbox.requests == 200


def test_the_server_answers_a_synchronous_program(chatloom_server: str, chatloom_sandbox: Sandbox) -> None:
    """Any HTTP client will do, without an event loop in sight; faults of the sandbox are the server's."""
    acme = chatloom_sandbox["acme"]
    request = Request(f"{chatloom_server}/api/plugin/agents", headers={"X-API-Key": acme.key.reveal()})
    with urlopen(request) as response:
        assert json.load(response)["count"] == 12
    assert chatloom_server.startswith("http://127.0.0.1:")
    assert [seen.outcome for seen in chatloom_sandbox.log] == [200]


async def test_the_server_answers_an_asynchronous_program(
    chatloom_server: str, chatloom_sandbox: Sandbox, chatloom_clock: VirtualClock
) -> None:
    """In the same process, although that has an event loop of its own; there, slow is slow."""
    acme = chatloom_sandbox["acme"]
    async with AsyncChatloom(acme.key, base_url=chatloom_server, retry=None) as client:
        assert len(await client.list_agents()) == 12
        with pytest.raises(NotFoundError):
            await client.get_allowed_domains("agt_nobodys")
        acme.fails("slow", seconds=60)
        with pytest.raises(AttemptTimeoutError):
            await client.with_options(timeouts=Timeouts(read=0.02)).list_agents()
    assert chatloom_clock.slept == []


@pytest.fixture
def threads() -> list[threading.Thread]:
    """The threads that run before the server does; set up first, because a test names it first."""
    return threading.enumerate()


def test_the_server_is_gone_after_the_test(threads: list[threading.Thread], request: pytest.FixtureRequest) -> None:
    """One thread while it runs."""
    url = request.getfixturevalue("chatloom_server")
    (server,) = set(threading.enumerate()) - set(threads)
    assert (server.name, server.daemon, url[:17]) == ("chatloom_server", True, "http://127.0.0.1:")


def test_assert_no_secret_accepts_what_is_clean(
    assert_no_secret: Callable[..., None], chatloom_client: AsyncChatloom, chatloom_sandbox: Sandbox
) -> None:
    """Nothing at all, the client, a masked key, and whatever the program has logged."""
    asyncio.run(chatloom_client.list_agents())
    assert_no_secret()
    assert_no_secret(chatloom_client, chatloom_sandbox, chatloom_sandbox["acme"].key, "clf_***", ValueError("no"))
