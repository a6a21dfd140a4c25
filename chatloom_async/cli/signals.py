"""SIGINT (Ctrl-C), SIGTERM and SIGHUP: a command ends with status 128 + the signal's number, and an audit ends gently.

The first signal lets an audit finish requests in flight, the second completes its reports at once, the third ends the
process. The first one interrupts any other command, and the second ends the process without waiting for the clean-up.
After a signal, an event loop that stands still is interrupted, e.g. if it writes a report to a pipe that nobody reads.
Handlers run in the main thread between two bytecodes, so they work while a rule keeps the event loop busy.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

from attrs import define, field, frozen

from . import SIGNALS, end_at_start, say_interrupted
from .files import unfinished

T = TypeVar("T")

STOP_GRACE = 10.0  # seconds for requests in flight to finish after the first Ctrl-C
SHORT_GRACE = 5.0
"""After SIGTERM and SIGHUP: container runtimes send SIGKILL 10 s later, and the reports take time as well."""

STALL = 4.0  # seconds that the event loop may stand still after a signal: reports are written in short steps
BEAT = 1.0  # seconds from one sign of the event loop to the next, after the first signal
REACTION = 2.0
"""Seconds for the event loop to react to the second signal; a rule that keeps it busy is interrupted then."""


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread by a signal that ends a command."""


@frozen
class GentleEnd:
    """How a running audit is ended: `stop` first, `abort` if it takes too long or the signal is repeated."""

    loop: asyncio.AbstractEventLoop
    stop: Callable[[int], None]
    abort: Callable[[], None]


@define(eq=False)
class SignalHandling:
    """The signals of one command. `received` is the first one, 0 if there was none.

    While it is `interruptible`, a signal that is not handled gently raises Interrupted; else it ends the process.
    """

    received: int = 0
    gentle: GentleEnd | None = None
    interruptible: bool = False
    _count: int = field(default=0, init=False)
    _said: bool = field(default=False, init=False)

    def receive(self, number: int, _: FrameType | None = None) -> None:
        """The handler."""
        self.received = self.received or number
        self._count += 1
        gentle = self.gentle
        if gentle is None:
            self._interrupt_once()
        elif self._count == 1:
            self.watch()
            gentle.loop.call_soon_threadsafe(gentle.stop, number)
        elif self._count == 2:
            _alarm(REACTION, self._interrupt)
            gentle.loop.call_soon_threadsafe(self._abort, gentle)
        elif number == signal.SIGINT:
            self._end()

    def watch(self) -> None:
        """Interrupts the command, unless this is called again in time."""
        _alarm(STALL, self._interrupt)

    def say(self) -> None:
        """Writes the line of an interrupted command, once."""
        if not self._said:
            self._said = True
            say_interrupted()

    def _interrupt_once(self) -> NoReturn:
        """A command is interrupted once. Another signal would break its clean-up, and ends the process instead."""
        if not self.interruptible:
            self._end()
        self.interruptible, self.gentle = False, None
        raise Interrupted

    def _end(self, *_: object) -> NoReturn:
        self.say()
        end_now(128 + self.received)

    def _abort(self, gentle: GentleEnd) -> None:
        if self.gentle:
            self.watch()
            gentle.abort()

    def _interrupt(self, *_: object) -> None:
        """The event loop did not react: its task is interrupted, and the process ends if that does not help."""
        _alarm(REACTION, self._end)
        self._interrupt_once()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs the coroutine in a new event loop, which waits for no thread once a signal was received."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            loop.set_default_executor(_Threads(self))
            loop.set_exception_handler(self._report)
            return runner.run(main)

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Once a signal was received, an error that nobody waits for any more is not worth a traceback."""
        if not self.received:
            loop.default_exception_handler(context)


class _Threads(ThreadPoolExecutor):
    def __init__(self, handling: SignalHandling) -> None:
        super().__init__(thread_name_prefix="chatloom")
        self._handling = handling

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait and not self._handling.received, cancel_futures=cancel_futures)


_active = SignalHandling()


@contextmanager
def handle_signals() -> Iterator[SignalHandling]:
    """Handles signals in the block. A signal that is ignored, e.g. under nohup, stays ignored.

    The program ignores all of them after the block, since its command is over.
    """
    global _active  # noqa: PLW0603 - signals belong to the process, and so does this
    _active = handling = SignalHandling()
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, handling.receive)
        handling.interruptible = True
        yield handling
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if handler is end_at_start else handler)
        _alarm(0)


@contextmanager
def end_gently(
    stop: Callable[[], None], abort: Callable[[], None] | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """In the block, the first signal calls `stop`. The second one, or a long wait, calls `abort` (None: `stop`).

    After a signal, the block and what follows are interrupted if they block the event loop for long.
    """
    loop, handling = asyncio.get_running_loop(), _active
    timers: dict[str, asyncio.TimerHandle] = {}

    def begin(number: int) -> None:
        if handling.gentle is None:  # it has ended, or was interrupted
            return
        grace = STOP_GRACE if number == signal.SIGINT else SHORT_GRACE
        say(f"stopping: requests in flight have {grace:g} s to finish; Ctrl-C again ends the audit at once")
        timers["grace"] = loop.call_later(grace, abort or stop)
        beat()
        stop()

    def beat() -> None:
        handling.watch()
        timers["beat"] = loop.call_later(BEAT, beat)

    handling.gentle = GentleEnd(loop, begin, abort or stop)
    try:
        yield
        if handling.received:
            handling.watch()
    finally:
        handling.gentle = None
        for timer in timers.values():
            timer.cancel()


def end_now(status: int) -> NoReturn:
    """Ends the process without waiting for anything. Rows that were committed and finished reports are safe."""
    for path in tuple(unfinished):
        with suppress(OSError):
            path.unlink()
    os._exit(status)


def _alarm(seconds: float, handler: Callable[..., object] | None = None) -> None:
    """Calls the handler in the main thread after `seconds`; 0 cancels the alarm. Windows has no such timer."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return
    if handler is not None:
        signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
