"""Workers that Dask starts by SSH: here on one machine, through a server that lets everybody of this machine in."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatloom_async.engines import DaskEngine, audit_on
from tests.engines.planted import planted

distributed = pytest.importorskip("distributed")
asyncssh = pytest.importorskip("asyncssh", reason="`nox -s engines` installs it")
pytestmark = pytest.mark.cluster


async def passed_on(source: asyncio.StreamReader | None, sink: Any) -> None:
    """What a program says, to who started it."""
    while source and (said := await source.read(4096)):
        sink.write(said)


@asynccontextmanager
async def reachable() -> AsyncIterator[int]:
    """The port of a server that runs what it is told; what still runs in the end is killed."""
    started = list[Process]()

    async def run(session: Any) -> None:
        command = f"exec {session.command}"  # no shell in between, which would be killed in the program's place
        process = await asyncio.create_subprocess_shell(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        started.append(process)
        await asyncio.gather(passed_on(process.stdout, session.stdout), passed_on(process.stderr, session.stderr))
        session.exit(await process.wait())

    class Open(asyncssh.SSHServer):  # type: ignore[misc]
        def begin_auth(self, username: str) -> bool:
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    options = {"server_factory": Open, "server_host_keys": [key], "process_factory": run, "encoding": None}
    try:
        async with asyncssh.listen("127.0.0.1", 0, **options) as server:
            yield server.get_port()
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_machines_that_ssh_reaches_are_workers(tmp_path: Path) -> None:
    """`SSHCluster` starts a scheduler and two workers, and every workspace is read."""
    sandbox, workspaces = planted(tmp_path, 20)
    async with reachable() as port, sandbox.serve() as url:
        cluster = distributed.SSHCluster(
            ["127.0.0.1"] * 3,
            connect_options={"port": port, "known_hosts": None, "username": "anybody", "config": []},
            worker_options={"host": "127.0.0.1", "nthreads": 2},
            scheduler_options={"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
            asynchronous=True,
        )
        async with cluster, distributed.Client(cluster, asynchronous=True) as client:
            await client.wait_for_workers(2, timeout=30)
            engine = DaskEngine(client)
            rows = [row async for row in audit_on(engine, workspaces, base_url=url, shard_size=5)]
    assert sorted((row.workspace, row.state) for row in rows) == sorted((each.name, "ok") for each in workspaces)
