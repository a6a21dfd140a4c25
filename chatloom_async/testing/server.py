"""Serves a sandbox in a thread with its own event loop, so that synchronous tests can use it too."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any, TypeVar

from ..sandbox import Sandbox

T = TypeVar("T")


@contextmanager
def serve_in_thread(sandbox: Sandbox) -> Iterator[str]:
    """Serves on a loopback port while the context is open; its value is the base URL."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="chatloom_server", daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    def end() -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    # Over a real connection, a slow answer takes real time.
    server = sandbox.serve(sleep=asyncio.sleep)
    with ExitStack() as stack:
        stack.callback(end)
        url = run(server.__aenter__())
        stack.callback(lambda: run(server.__aexit__(None, None, None)))
        yield url
