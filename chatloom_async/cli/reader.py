"""Who reads the workspaces of an audit: this process. Another reader is in engine.py."""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from attrs import frozen

from ..audit import runner
from ..audit.rules import Judge
from ..audit.runner import PROBE_EVERY, OnPause
from ..audit.values import Row
from ..client import AsyncChatloom
from .interrupt import Interrupt
from .recording import Recording


class Reader(Protocol):
    """Turns what is still to be read into rows, each judged, and kept before it is yielded."""

    def rows(self, record: Recording, judge: Judge, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        """One row for each workspace that is pending; none begins any more once an interrupt was asked for."""
        ...


@frozen
class ProcessReader:
    """This process, with the transport and the limiter of `client`; its key is not used."""

    client: AsyncChatloom
    concurrency: int

    def rows(self, record: Recording, judge: Judge, interrupt: Interrupt) -> AsyncGenerator[Row, None]:
        return runner.audit(
            interrupt.until_asked(record.pending()),
            client=self.client,
            judge=judge,
            run=record.run,
            concurrency=self.concurrency,
            on_pause=telling(interrupt.say),
        )


def telling(say: Callable[[str], None]) -> OnPause:
    """Says that the audit pauses, in the same words each time."""
    return lambda _: say(f"paused: too many calls fail; one workspace is tried again every {PROBE_EVERY:g} s")
