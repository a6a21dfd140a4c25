"""What is promised of one transport is tried with each: a test that takes `make`, a transport's class, runs for all.

Or for those of --transport. Without that option the longer files try aiohttp alone; `nox -s transports` runs them for
the others. aiohttp is used in two ways; what is promised of it holds for both.
"""

import pytest

from chatloom_async.transports.aiohttp import transport
from tests.transports.kinds import KINDS, Make, installed, transport_class

BOTH_WAYS = {"bodies", "cancellation", "closing", "errors", "pool", "tls", "wire"}
FOR_ALL = {"contract"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which transports a test runs for, and aiohttp in which ways."""
    module = metafunc.module.__name__.rpartition("test_")[2]
    asked = metafunc.config.getoption("--transport")
    if "make" in metafunc.fixturenames:
        kinds = asked or (list(KINDS) if module in FOR_ALL else ["aiohttp"])
        metafunc.parametrize("make", kinds, indirect=True)
    if module in BOTH_WAYS and "aiohttp" in (asked or ["aiohttp"]):
        metafunc.fixturenames.append("way")
        metafunc.parametrize("way", ["direct", "session"], indirect=True)


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Make:
    """The class of the transport in question."""
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    return transport_class(request.param)


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests written here, or those of aiohttp's session, as with a version of it for which that does not work."""
    if request.param == "session":
        only_by_session(monkeypatch)


async def fails(_: object) -> bool:
    """In the place of a rehearsal."""
    return False


def only_by_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on."""
    monkeypatch.setattr(transport, "works", fails)
