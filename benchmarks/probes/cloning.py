"""What a client for one more key costs, in time and in memory; and the same of OpenAI's SDK."""

import tracemalloc
from collections.abc import Callable
from itertools import count
from typing import Any

from ..answers import KEY
from ..timing import in_turns, medians

KEPT = 2_000


def chatloom() -> dict[str, float]:
    """This client."""
    from chatloom_async import AsyncChatloom

    from .null import NullTransport

    client = AsyncChatloom(KEY, transport=NullTransport())
    return _cost(client.with_key)


def openai() -> dict[str, float]:
    """OpenAI's, whose copies are cheap for an SDK."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=KEY)
    return _cost(lambda key: client.with_options(api_key=key))


def _cost(clone: Callable[[str], Any]) -> dict[str, float]:
    """Time, and memory of the clone without the text of its key, which the caller has anyway."""
    fresh = (f"{KEY}{number}" for number in count())
    numbers = medians(in_turns({"time, us": lambda: clone(next(fresh))}, batch=500, rounds=15))
    keys = [next(fresh) for _ in range(KEPT)]
    kept: list[Any] = [None] * KEPT
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for index, key in enumerate(keys):
        kept[index] = clone(key)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return numbers | {"memory, bytes": (after - before) / KEPT}
