"""The result of a diagnosis step: one line for people, and the same facts for programs. It contains no secret."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Literal, TypeVar

from attrs import field, frozen

from ..wire.cleaning import clean

State = Literal["ok", "warning", "wrong", "skipped"]
Chapter = Literal["way", "contract"]
"""The steps up to an answer, or the check of answers against the documentation."""


def _clean(value: Any) -> Any:
    """Cleans every text in the value, because it may come from outside."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _clean(member) for name, member in value.items()}
    return [_clean(item) for item in value] if isinstance(value, (list, tuple)) else value


@frozen
class Observation:
    """What was checked, its state, the result, and what to do next, if anything.

    warning: calls may still work. wrong: they do not, or the API contradicts its documentation. skipped: not checked.
    """

    subject: str
    state: State
    found: str = field(converter=clean)
    advice: str = field(default="", converter=clean)
    facts: Mapping[str, Any] = field(factory=dict, converter=_clean)
    chapter: Chapter = "way"


def ok(subject: str, found: str, **facts: Any) -> Observation:
    """An observation without a problem."""
    return Observation(subject, "ok", found, facts=facts)


def warning(subject: str, found: str, advice: str = "", **facts: Any) -> Observation:
    """An observation of a possible problem."""
    return Observation(subject, "warning", found, advice, facts)


def wrong(subject: str, found: str, advice: str = "", **facts: Any) -> Observation:
    """An observation of a problem to fix."""
    return Observation(subject, "wrong", found, advice, facts)


def skipped(subject: str, why: str) -> Observation:
    """A step that was not checked; `why` is the reason."""
    return Observation(subject, "skipped", why)


T = TypeVar("T")

AT_LEAST = 0.001  # a client does not accept a deadline of 0


class TimeLimit:
    """A time limit in seconds from its construction, on the running event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """The remaining seconds; never 0."""
        return max(AT_LEAST, self._end - asyncio.get_running_loop().time())

    async def bound(self, step: Awaitable[T], otherwise: T) -> T:
        """The step's result, or `otherwise` if the time is up first."""
        try:
            async with asyncio.timeout_at(self._end):
                return await step
        except TimeoutError:
            return otherwise

    def passed(self, subject: str) -> Observation:
        """The observation for a step that did not finish in time."""
        found = f"no result: the time limit of {self.seconds:g} s for everything was up"
        return wrong(subject, found, "Something drops packets or is very slow; --time-limit SECONDS waits longer.")
