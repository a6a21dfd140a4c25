"""Measures the rows of the comparison that depend on a machine's speed: `python -m tests.comparison`. Ten seconds.

Prints what this machine measures; it judges nothing.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import median

from chatloom_async import AsyncChatloom, Sandbox
from tests.comparison.handwritten import HandwrittenClient

CALLS, AT_ONCE, ROUNDS = 1600, 32, 9
STARTS = {
    "nothing": "pass",
    "by hand": "import aiohttp, dataclasses",
    "this package": "import chatloom_async.transports.aiohttp.transport",
}


@contextmanager
def served(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox in a thread of its own, whose work does not count."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = sandbox.serve()
    yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def microseconds(call: Callable[[], Awaitable[object]]) -> float:
    """This thread's CPU time for one call, many of them at once."""

    async def worker() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call()

    before = time.thread_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return (time.thread_time() - before) / CALLS * 1e6


async def calls(url: str, key: str) -> tuple[float, float]:
    """By hand and by this package, in turns."""
    hand, ours = HandwrittenClient(key, url), AsyncChatloom(key, base_url=url, rate_limit=None)
    counted = [(await microseconds(hand.list_agents), await microseconds(ours.list_agents)) for _ in range(ROUNDS)]
    await hand.close()
    await ours.aclose()
    return median(first for first, _ in counted), median(second for _, second in counted)


def start(code: str) -> float:
    """How long a new Python takes for it, in milliseconds."""
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=compiled, check=True)
    return (time.perf_counter() - before) * 1e3


def main() -> None:
    """Both rows."""
    sandbox = Sandbox(seed=7, rate_limit=None)
    key = sandbox.add_workspace("acme", agents=10).key.reveal()
    with served(sandbox) as url:
        hand, ours = asyncio.run(calls(url, key))
    print(f"CPU of a call: {hand:.0f} us by hand, {ours:.0f} us by this package, 1 : {ours / hand:.2f}")
    times = [{name: start(code) for name, code in STARTS.items()} for _ in range(ROUNDS)]
    hand, ours = (median(each[name] - each["nothing"] for each in times) for name in ("by hand", "this package"))
    print(f"Imports before the first request: {hand:.0f} ms by hand, {ours:.0f} ms by this package")


if __name__ == "__main__":
    main()
