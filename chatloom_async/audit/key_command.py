"""Runs a command that prints a key, and turns it into what it printed, or into the reason why that is of no use.

Decodes and shows nothing of the output; what the command complains of is its own explanation.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence

from ..wire.errors import clean


async def printed_bytes(argv: Sequence[str], timeout: float) -> bytes | str:  # noqa: ASYNC109 - the command's own
    """What the command wrote to its standard output within `timeout` seconds, else what went wrong.

    There is no shell, and no input. Raises OSError or ValueError where the command cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
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


async def _end(process: Process) -> None:
    """Kills what still runs, children included: one of them could hold the pipe open, and the audit with it."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":  # pragma: no cover
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
