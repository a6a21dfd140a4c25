"""aiohttp is used in two ways; what is promised of it holds for both."""

import pytest

from chatloom_async.transports import aiohttp_direct

BOTH_WAYS = {"bodies", "cancellation", "closing", "errors", "pool", "tls", "wire"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of the modules named above runs once on each way."""
    if metafunc.module.__name__.rpartition("test_")[2] in BOTH_WAYS:
        metafunc.fixturenames.append("way")
        metafunc.parametrize("way", ["direct", "session"], indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests written here, or those of aiohttp's session, as with a version of it that is not known."""
    if request.param == "session":
        monkeypatch.setattr(aiohttp_direct, "KNOWN", ())
