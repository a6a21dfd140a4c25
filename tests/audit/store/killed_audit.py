"""An audit that a test kills: `python killed_audit.py DATABASE WORKSPACES`. Continues the run, if there is one.

Prints "read NAME" when it reads a workspace and "done NAME" when its row is acknowledged, each in one write.
"""

import asyncio
import os
import sys

from chatloom_async.audit import Workspace
from chatloom_async.audit.store import NothingToResumeError, RunConfig, open_store
from chatloom_async.fanout import Err, fan_out
from tests.audit.store.samples import URL, found, row, workspaces


async def main(path: str, count: int) -> None:
    """Audits that many workspaces into the database, or what is left of them."""
    config = RunConfig(workspaces=workspaces(*(f"w{number:05}" for number in range(count))), base_url=URL)
    async with open_store(path) as store:
        try:
            run = await store.resume(config)
        except NothingToResumeError:
            run = await store.begin(config)

        async def audit(workspace: Workspace) -> None:
            name = workspace.name
            os.write(1, f"read {name}\n".encode())
            await run.commit(row(name, findings=(found(name, "localhost"),)))
            os.write(1, f"done {name}\n".encode())

        async for result in fan_out(run.pending(config.workspaces), audit):
            if isinstance(result, Err):
                raise result.error
        await run.finish()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
