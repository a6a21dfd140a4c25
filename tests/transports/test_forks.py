"""A process that forks in the middle of calls: parent and child go on, each with connections and permits of its own."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.raw_server import RawServer, http
from tests.samples import KEY
from tests.transports.gone import arrived
from tests.transports.kinds import KINDS, Make

GOOD = http(b'{"agents": [], "count": 0}')

PROGRAM = """
import asyncio, gc, os, sys
from chatloom_async import AsyncChatloom, RateLimit
from tests.transports.kinds import transport_class

url, kind, key = sys.argv[1:]
client = AsyncChatloom(
    key,
    base_url=url,
    transport=transport_class(kind)(),
    rate_limit=RateLimit(concurrency=3, per_second=1000.0),
    max_in_flight=2,
    deadline=30.0,
)

def show(name, answers):
    print(name, [answer.count for answer in answers], [state.in_flight for state in client.limits.values()], flush=True)

async def five():
    return await asyncio.gather(*(client.list_agents() for _ in range(5)))

async def child():
    show("child", await five())
    gc.collect()
    await client.aclose()

async def parent():
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    loop.add_reader(0, go.set)
    await client.list_agents()
    calls = asyncio.create_task(five())  # two are sent, one waits for a slot, and two for their turns
    await go.wait()
    loop.remove_reader(0)
    process = os.fork()
    if process == 0:
        asyncio.run(child())
        os._exit(0)
    print(os.waitpid(process, 0)[1], flush=True)
    show("parent", await calls)
    await client.aclose()

asyncio.run(parent())
"""


async def test_a_fork_in_the_middle_of_calls(make: Make) -> None:
    """The child makes the calls of its own; then the parent's are answered, each over the connection that it had."""
    (kind,) = [kind for kind, name in KINDS.items() if name == make.__name__]
    forked, requests = asyncio.Event(), iter(range(100))
    async with RawServer(lambda _: (forked, GOOD) if next(requests) in (1, 2) else (GOOD,)) as server:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", PROGRAM, server.url, kind, KEY),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
        )
        assert program.stdin is not None
        assert program.stdout is not None
        assert await arrived(server, requests=3, seconds=20.0)
        program.stdin.write(b"\n")
        lines = [await program.stdout.readline() for _ in range(2)]
        forked.set()
        rest = await program.stdout.read()
        await program.wait()
    assert b"".join([*lines, rest]) == b"child [0, 0, 0, 0, 0] [0]\n0\nparent [0, 0, 0, 0, 0] [0]\n"
    assert (len(server.requests), server.connections) == (11, 4)
