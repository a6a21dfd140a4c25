"""Redis servers for tests: one that all of them share, and one that a test may break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contrib.redis.server import RedisServer, installed_server


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> str:
    """The server program: the one of `--redis-server`, else one that is installed."""
    chosen = pytestconfig.getoption("--redis-server") or installed_server()
    if chosen is None:
        pytest.skip("There is no Redis server: install redis-server or valkey-server, or pass --redis-server PATH.")
    return str(chosen)


@pytest.fixture(scope="session")
def running(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server of all tests that leave it in peace."""
    server = RedisServer(program, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """That server, empty."""
    running.client.flushall()
    return running


@pytest.fixture
def own_server(program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to be killed, halted and started again."""
    server = RedisServer(program, tmp_path)
    server.start()
    yield server
    server.kill()
