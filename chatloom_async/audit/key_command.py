"""Runs a command that prints a key, and turns it into what it printed, or into the reason why that is of no use.

Decodes and shows nothing of the output; what the command complains of is its own explanation.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

from ..wire.errors import clean


async def printed_bytes(argv: Sequence[str], timeout: float) -> bytes | str:  # noqa: ASYNC109 - the command's own
    """What the command wrote to its standard output within `timeout` seconds, else what went wrong.

    There is no shell, and no input. Raises OSError or ValueError where the command cannot be started.
    """
    process = await _start(argv)
    try:
        async with asyncio.timeout(timeout):
            output, complaint = await process.communicate()
    except TimeoutError:
        return f"did not finish within {timeout:g} s"
    finally:
        await _end(process)
    if process.returncode != 0:
        said = clean(complaint.decode(errors="replace"), 200) or "it said nothing"
        return f"ended with status {process.returncode}: {said}"
    return output


async def _start(argv: Sequence[str]) -> Process:
    """The running command. It is not left half started, whoever is cancelled meanwhile: asyncio would kill it without
    its children, and wait for those to close its pipes."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(await starting)
        raise


async def _end(process: Process) -> None:
    """Kills what still runs, children included: one of them could hold the pipe open, and the audit with it. One that
    has left the session is not found, but its end of the pipes is let go."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":  # pragma: no cover
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    for number in (1, 2):
        pipe = process._transport.get_pipe_transport(number)  # type: ignore[attr-defined]  # asyncio hides it
        pipe.close()
    await process.wait()
