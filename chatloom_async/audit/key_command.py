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
from typing import Any

from ..wire.cleaning import clean

KEPT = 65536


async def printed_bytes(argv: Sequence[str], timeout: float) -> bytes | str:  # noqa: ASYNC109 - the command's own
    """What the command wrote to its standard output within `timeout` seconds, else what went wrong.

    There is no shell, and no input. Raises OSError or ValueError where the command cannot be started.
    """
    process = await _started(argv)
    try:
        async with asyncio.timeout(timeout):
            output, complaint = await asyncio.gather(_first(process.stdout), _first(process.stderr))
            await process.wait()
    except TimeoutError:
        await _end(process)
        return f"did not finish within {timeout:g} s"
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode != 0:
        said = clean(complaint.decode(errors="replace"), 200) or "it said nothing"
        return f"ended with status {process.returncode}: {said}"
    return output


async def _first(stream: Any) -> bytes:
    """What comes until its end, of which the first bytes are kept: more than any key has, and no more memory."""
    kept = b""
    while data := await stream.read(KEPT):
        kept += data[: KEPT - len(kept)]
    return kept


async def _started(argv: Sequence[str]) -> Process:
    """The process. Where the wait for it is cancelled, it is ended all the same: asyncio, left to itself, would kill
    the command without its children, and wait for as long as one of them holds a pipe open."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):
            await _over(starting)  # in milliseconds; before that, nobody can tell what to end
        if starting.exception() is None:
            await _end(starting.result())
        raise


async def _end(process: Process) -> None:
    """Kills what still runs, children included, and lets go of the pipes, which a child that has left for a session of
    its own may hold open."""
    with suppress(ProcessLookupError):
        if sys.platform == "win32":  # pragma: no cover
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)  # its children, too, where it has ended itself already
    for number in (1, 2):  # not the transport as a whole, which would take the exit status from asyncio's own watcher
        pipe = process._transport.get_pipe_transport(number)  # type: ignore[attr-defined]  # there is no public way
        pipe.close()
    await _over(asyncio.ensure_future(process.wait()))


async def _over(task: asyncio.Future[Any]) -> None:
    """Returns when it is done. A cancellation has to wait for that, and is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
