"""The comparison with a client written by hand, in benchmarks/README.md: each cell is what comes of a scene."""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import AsyncChatloom, MockTransport
from chatloom_async.testing.clock import VirtualClock
from tests.comparison import handwritten
from tests.comparison.scenes import SCENES
from tests.samples import KEY, OTHER_KEY, api

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
CELLS = {
    title: (hand, ours) for title, hand, ours in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
}
DEPENDENCIES = [
    re.split(r"[<>=]", each)[0]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
]


@pytest.mark.parametrize("title", SCENES)
async def test_the_page_says_what_comes_of_it(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand and by this package, as they come, on a virtual clock."""
    clock, by_hand = VirtualClock(), VirtualClock()
    monkeypatch.setattr(handwritten, "sleep", by_hand.sleep)

    @asynccontextmanager
    async def hand(url: str, seconds: float = 15.0) -> AsyncIterator[Any]:
        client = handwritten.HandwrittenClient(KEY, url, seconds)
        yield client
        await client.close()

    @asynccontextmanager
    async def ours(url: str, seconds: float = 60.0) -> AsyncIterator[Any]:
        async with AsyncChatloom(KEY, base_url=url, deadline=seconds, clock=clock) as client:
            yield client

    assert (await SCENES[title](hand, by_hand), await SCENES[title](ours, clock)) == CELLS[title]


def test_what_each_costs() -> None:
    """Where less is better, the one written by hand is."""
    lines = len(Path(handwritten.__file__).read_text("utf-8").splitlines())
    package = sum(len(file.read_text("utf-8").splitlines()) for file in (ROOT / "chatloom_async").rglob("*.py"))
    assert CELLS["dependencies"] == ("aiohttp", ", ".join(DEPENDENCIES))
    assert CELLS["lines to own"] == (f"{lines}, and their tests", "none to maintain; over 10,000 to trust")
    assert package > 10_000
    assert {*CELLS} >= {*SCENES}
    assert f"[{lines} lines](../tests/comparison/handwritten.py)" in PAGE


async def test_a_second_key_is_a_method_away() -> None:
    """Both keys are used through one transport, at the same time."""
    transport = MockTransport(api)
    async with AsyncChatloom(KEY, transport=transport) as client:
        await asyncio.gather(client.list_agents(), client.with_key(OTHER_KEY).list_agents())
    assert {request.headers["Authorization"] for request in transport.requests} == {
        f"Bearer {KEY}",
        f"Bearer {OTHER_KEY}",
    }
    assert CELLS["a second key"] == ("another client and its connections", "`with_key()`")
