"""What a check of the diagnosis says: one line for people, the same as facts for programs. Holds no secret."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Literal, TypeVar

from attrs import field, frozen

from ..wire.cleaning import clean

State = Literal["ok", "warning", "wrong", "skipped"]
Chapter = Literal["way", "contract"]
"""The way to an answer, or what the documentation promises of answers."""


def _clean(value: Any) -> Any:
    """Every text in it goes through `clean`, as all that comes from outside must."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, (list, tuple)) else value


@frozen
class Observation:
    """What was looked at, how it is, what was found, and what to do next, where there is something to do.

    warning: calls may work all the same. wrong: they do not, or the API breaks a promise. skipped: not looked at.
    """

    subject: str
    state: State
    found: str = field(converter=clean)
    advice: str = field(default="", converter=clean)
    facts: Mapping[str, Any] = field(factory=dict, converter=_clean)
    chapter: Chapter = "way"


def ok(subject: str, found: str, **facts: Any) -> Observation:
    """As it should be."""
    return Observation(subject, "ok", found, facts=facts)


def warning(subject: str, found: str, advice: str = "", **facts: Any) -> Observation:
    """Unusual, or a reason to look again."""
    return Observation(subject, "warning", found, advice, facts)


def wrong(subject: str, found: str, advice: str = "", **facts: Any) -> Observation:
    """To be put right."""
    return Observation(subject, "wrong", found, advice, facts)


def skipped(subject: str, why: str) -> Observation:
    """Not looked at; `why` says the reason."""
    return Observation(subject, "skipped", why)


T = TypeVar("T")

AT_LEAST = 0.001  # a client takes no deadline of 0


class TimeLimit:
    """So many seconds from its construction, on the running event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """Seconds; never 0."""
        return max(AT_LEAST, self._end - asyncio.get_running_loop().time())

    async def bound(self, step: Awaitable[T], otherwise: T) -> T:
        """What the step comes to, or `otherwise` where the time is up before."""
        try:
            async with asyncio.timeout_at(self._end):
                return await step
        except TimeoutError:
            return otherwise

    def passed(self, subject: str) -> Observation:
        """What to say of a step that was not done in time."""
        found = f"no result: the time limit of {self.seconds:g} s for everything was up"
        return wrong(subject, found, "Something drops packets or is very slow; --time-limit SECONDS waits longer.")
