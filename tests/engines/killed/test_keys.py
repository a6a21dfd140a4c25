"""Where keys are not: in a scheduler's memory, on its pages, in a log."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from chatloom_async.audit import KeyEnv, Workspace
from chatloom_async.engines import DaskEngine, audit_on
from tests.engines.cluster import Cluster
from tests.engines.planted import POISON, planted
from tests.engines.threads import connected

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster
REFERENCE = re.compile(rb"w\d+\.key")
UNSET = Workspace("unset", KeyEnv("NO_SUCH_VARIABLE"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's memory")
async def test_no_key_is_in_the_scheduler_or_a_log(cluster: Cluster, tmp_path: Path) -> None:
    """Neither in its memory while shards are under way and after, nor on its pages, nor in any log; references are."""
    sandbox, workspaces = planted(tmp_path, 40)
    for each in sandbox:
        each.fails("slow", seconds=0.2)
    keys, pages = [each.key.reveal().encode() for each in sandbox], list[bytes]()
    asked = (*workspaces, POISON, UNSET)
    async with connected(cluster.address) as client, sandbox.serve() as url:
        rows = audit_on(DaskEngine(client), asked, base_url=url, shard_size=5)
        first = await anext(rows)
        during = await asyncio.to_thread(memory, cluster.scheduler.pid)
        for name in ("info/main/workers.html", "info/main/logs.html", "info/main/exceptions.html", "metrics"):
            pages.append(await page(cluster.page, name))
        states = [first.state, *[row.state async for row in rows]]
    after = await asyncio.to_thread(memory, cluster.scheduler.pid)
    assert sorted(states) == ["failed"] * 2 + ["ok"] * 40
    assert REFERENCE.search(during), "the scan would not have found a key either"
    assert b"audit-shard" in cluster.logs()
    assert [each.partition(b"\r\n")[0] for each in pages] == [b"HTTP/1.0 200 OK"] * len(pages)
    everywhere = b"".join((during, after, cluster.logs(), *pages))
    assert [key[:8] for key in keys if key in everywhere] == []
    assert not REFERENCE.search(cluster.logs())


def memory(pid: int) -> bytes:
    """All that the process could write to, as bytes."""
    found = bytearray()
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as raw:
        for line in maps:
            bounds, access = line.split()[:2]
            start, end = (int(each, 16) for each in bounds.split("-"))
            if "w" in access:
                raw.seek(start)
                found += raw.read(end - start)
    return bytes(found)


async def page(port: int, name: str) -> bytes:
    """One of the scheduler's pages, with its status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{name} HTTP/1.0\r\n\r\n".encode())
    whole = await reader.read()
    writer.close()
    return whole.replace(b"HTTP/1.1", b"HTTP/1.0")
