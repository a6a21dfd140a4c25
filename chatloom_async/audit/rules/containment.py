"""Judges rows without holding up the event loop, and contains rules that do not end.

A small row is judged at once if all rules are this package's. Anything else is judged in a thread. A rule that is
stuck there is given up together with its thread, and the other rules go on in a new one. Python can end a thread that
runs Python code; one that is stuck in a system call or a regular expression stays until the process ends. Under a
debugger or a tracer, Python 3.11 lets no other thread go on until then; later versions do.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Generic, TypeVar

from attrs import Factory, define, field

from ..values import Row, Workspace
from .judging import Judge, Judging
from .registry import RULES
from .subjects import Evidence, HostRecord

T = TypeVar("T")

SMALL_ROW = 8192
"""Characters in a row's names and domains that are judged in the event loop: about 20 ms of the slowest domains."""

STUCK_AFTER = 5.0
"""Seconds for one subject, such as one domain, after which a rule that is not this package's is given up."""

OWN_RULES = frozenset(RULES)

MAX_STUCK = 3  # workspaces on which a rule may get stuck. After that, it is not applied any more


@define(eq=False)
class ContainedJudge:
    """A Judge for use in an event loop. One thread judges at a time; small rows do not wait for it."""

    judge: Judge
    _own_rules: bool = field(init=False)
    _own_overlap_rules: bool = field(init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _stuck: Counter[str] = Factory(Counter)

    def __attrs_post_init__(self) -> None:
        others = {rule.scope for rule in self.judge.rules if rule not in OWN_RULES}
        self._own_rules, self._own_overlap_rules = not others, "overlap" not in others

    async def judged(
        self, row: Row, workspace: Workspace, evidence: Evidence, dns: Mapping[str, HostRecord] | None
    ) -> Row:
        """What `Judge.judge` returns. Cancelling it gives up the rule that is running."""
        if self._own_rules and _size(row) <= SMALL_ROW:
            return self.judge.judge(row, workspace, evidence, dns)
        async with self._turn:
            judging = await self._applied(lambda: self.judge.begin(row, workspace, evidence, dns))
            return await InThread(lambda: self.judge.finish(judging, dns)).result()

    async def with_overlaps(self, row: Row) -> Row:
        """What `Judge.add_overlaps` returns. Cancelling it gives up the rule that is running."""
        if self._own_overlap_rules and _size(row) <= SMALL_ROW:
            return self.judge.add_overlaps(row)
        async with self._turn:
            judging = await self._applied(lambda: self.judge.begin_overlaps(row))
            return await InThread(lambda: self.judge.finish_overlaps(judging)).result()

    async def _applied(self, begin: Callable[[], Judging]) -> Judging:
        """A judging whose rules are all done or given up."""
        judging = await InThread(begin).result()
        while not judging.is_done:
            judging = await self._next_rules(judging)
        return judging

    async def _next_rules(self, judging: Judging) -> Judging:
        """Applies rules until all are done or one is stuck, and returns what is left to do."""
        rule = judging.rules[judging.done]
        if self._stuck[rule.id] >= MAX_STUCK:
            return judging.without_current(f"is not applied any more: it was stuck on {MAX_STUCK} workspaces")
        running = InThread(lambda: judging.run(until=self._is_given_up))
        before = judging.done, judging.steps.count
        while not await running.is_done_within(STUCK_AFTER):
            now = judging.done, judging.steps.count
            rule = judging.rules[min(judging.done, len(judging.rules) - 1)]
            if now == before and rule not in OWN_RULES:
                running.give_up()
                self._stuck[rule.id] += 1
                return judging.without_current(f"was given up: it did not end within {STUCK_AFTER:g} s")
            before = now
        await running.result()
        return judging

    def _is_given_up(self, rule: str) -> bool:
        return self._stuck[rule] >= MAX_STUCK


def _size(row: Row) -> int:
    return sum(len(agent.agent.name) + sum(map(len, agent.domains or ())) for agent in row.agents)


class GivenUp(SystemExit):
    """Raised in a thread that is given up. Rules do not catch it, and Python ends the thread silently."""


class InThread(Generic[T]):
    """A function that runs in a thread of its own, which does not keep the process alive."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[T] = self._loop.create_future()
        self._function = function
        self._thread = Thread(target=self._run, name="chatloom judging", daemon=True)
        self._thread.start()

    async def result(self) -> T:
        """What the function returns or raises. If this wait is cancelled, the result is ignored."""
        return await self._result

    async def is_done_within(self, seconds: float) -> bool:
        """Waits until the function has ended, but no longer than this. Cancelling it gives up the thread."""
        try:
            await asyncio.wait([self._result], timeout=seconds)
        except asyncio.CancelledError:
            self.give_up()
            raise
        return self._result.done()

    def give_up(self) -> None:
        """Ends the thread, if it runs Python code. What it returns or raises from now on is ignored."""
        import ctypes

        self._result.cancel()
        thread = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(GivenUp))

    def _run(self) -> None:
        with suppress(GivenUp):  # also while it reports what nobody waits for any more
            try:
                result = self._function()
            except Exception as error:
                self._report(partial(self._result.set_exception, error))
            else:
                self._report(partial(self._result.set_result, result))

    def _report(self, settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the event loop was closed
            self._loop.call_soon_threadsafe(lambda: None if self._result.done() else settle())
