"""Fails when the client has become much slower: `python -m benchmarks.guard`, in well under a minute.

Everything is a ratio of CPU times, taken in turns in one process, so a slow or busy machine does not matter. C code is
compared with json.loads, and Python code with copy.deepcopy: the ratio of the one to the other differs by a fifth
between builds of Python. A bound is up to 1.3 times the highest ratio on four builds of Python: it catches a
regression, not a percent. What is over a bound is measured again, and the lowest ratio counts.
"""

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from statistics import median

from .answers import KEY, agents, body
from .arms import ARMS, OURS, RAW, opened
from .arms.interface import Call
from .calls import cpu
from .fresh import Failure, measured
from .server import serving
from .timing import Samples, calls_in_turns, in_turns, ratio

TRIES = 3
CALL, DECODE, RETRY, OWN, CLONE = (
    "list_agents() : raw aiohttp, 32 at once",
    "decode of ten agents : json.loads",
    "call on a null transport with retry : without",
    "call on a null transport : copy.deepcopy",
    "with_key() : copy.deepcopy",
)
BOUNDS = {CALL: 1.3, DECODE: 1.25, RETRY: 1.15, OWN: 0.82, CLONE: 0.17}


def measure(url: str) -> dict[str, float]:
    """Every ratio, once. Runs in a fresh process, without coverage."""
    return asyncio.run(_measure(url))


async def _measure(url: str) -> dict[str, float]:
    async with opened(ARMS[RAW], url) as raw, opened(ARMS[OURS], url) as ours:
        numbers = {CALL: await _concurrent(raw, ours)}
    return numbers | _decoding() | await _own_work()


async def _concurrent(raw: Call, ours: Call) -> float:
    ratios = [await cpu(ours, 32, 320) / await cpu(raw, 32, 320) for _ in range(16)]
    return median(ratios[1:])  # the first opens the connections


def _decoding() -> dict[str, float]:
    import json

    from chatloom_async import AgentList, Response
    from chatloom_async.wire.decode import decode

    text = body(agents(10))
    response = Response(200, {"content-type": "application/json"}, text)
    pieces = {"decode": partial(decode, response, AgentList), "json": partial(json.loads, text)}
    return {DECODE: ratio(in_turns(pieces, batch=300, rounds=21), "decode", "json")}


async def _own_work() -> dict[str, float]:
    import json
    from copy import deepcopy

    from .arms.chatloom import client
    from .probes.null import NullTransport

    answer = json.loads(body(agents(10)))

    async def copy() -> object:
        return deepcopy(answer)

    async with client("http://127.0.0.1", NullTransport()) as chatloom:
        once = chatloom.with_options(retry=None)

        async def clone() -> object:
            return chatloom.with_key(KEY)

        pieces = {"call": chatloom.list_agents, "once": once.list_agents, "clone": clone, "copy": copy}
        samples: Samples = await calls_in_turns(pieces, batch=300, rounds=21)
    return {
        RETRY: ratio(samples, "call", "once"),
        OWN: ratio(samples, "call", "copy"),
        CLONE: ratio(samples, "clone", "copy"),
    }


def ratios() -> dict[str, float]:
    """The lowest ratio of up to `TRIES` measurements."""
    lowest: dict[str, float] = {}
    with serving() as server:
        for _ in range(TRIES):
            numbers = measured("guard:measure", url=server.url)
            if isinstance(numbers, Failure):
                raise SystemExit(f"The guard could not measure: {numbers.reason}")
            lowest = {name: min(value, lowest.get(name, value)) for name, value in numbers.items()}
            if not any(excesses(lowest)):
                break
    return lowest


def excesses(numbers: dict[str, float]) -> Iterator[str]:
    """What is over its bound, as text."""
    for name, value in numbers.items():
        if value > BOUNDS[name]:
            yield f"{name} is {value:.2f}, and must not be more than {BOUNDS[name]}"


def main() -> None:
    """Prints the ratios; exit status 1 when one is over its bound."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped too
    numbers = ratios()
    for name, value in numbers.items():
        print(f"{name:48} {value:6.2f} <= {BOUNDS[name]}")
    if problems := list(excesses(numbers)):
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
