"""Redis servers for tests: one that all of them share, and one that a test may break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contrib.redis.server import RedisServer


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server of all tests that leave it in peace."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    """That server, empty."""
    running.client.flushall()
    return running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own, to be killed, halted and started again."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()
