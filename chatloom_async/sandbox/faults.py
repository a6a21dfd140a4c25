"""The faults that `acme.fails(429, times=2, retry_after=1)` scripts for future requests.

A fault describes what happens; server.py, asgi.py and transport.py carry it out. This file does no I/O.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, TypedDict

from attrs import evolve, field, frozen
from attrs.validators import ge, instance_of, optional

from ..wire.errors import ConfigurationError
from ..wire.message import Response
from .answers import BAD_GATEWAY, HTML, error

Mishap = Literal["slow", "cut", "lost", "html"]
Ending = Literal["whole", "cut", "lost"]

STATUSES = range(200, 600)
ENDINGS: dict[object, Ending] = {"cut": "cut", "lost": "lost"}
SENDABLE = re.compile(r"[A-Za-z0-9-]+: [\x20-\x7e]*")


class FaultOptions(TypedDict, total=False):
    """The options of a fault in addition to its kind; see `SandboxWorkspace.fails`."""

    retry_after: int | str
    message: str
    headers: Mapping[str, str]
    seconds: float


OPTIONS: dict[str, frozenset[str]] = {  # the options that each kind of fault accepts
    "status": frozenset({"retry_after", "message", "headers"}),
    "slow": frozenset({"seconds"}),
    "cut": frozenset(),
    "lost": frozenset(),
    "html": frozenset(),
}


@frozen
class Scripted:
    """A response and how to send it: wait for `wait` seconds, then send as much of it as `ends` says.

    `cut`: the connection breaks in the middle of the body. `lost`: it breaks before the first byte.
    """

    response: Response
    wait: float = 0.0
    ends: Ending = "whole"


def _seconds(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError("seconds= is a number of seconds from 0")
    return float(value)


@frozen(kw_only=True)
class Fault:
    """What happens to the next `left` requests (None: all) whose path matches the glob `on`."""

    how: int | Mishap
    left: int | None = field(validator=optional([instance_of(int), ge(1)]))
    on: str = field(validator=instance_of(str))
    response: Response | None
    wait: float = field(converter=_seconds)
    ends: Ending

    def concerns(self, path: str) -> bool:
        return fnmatchcase(path, self.on)

    def used(self) -> "Fault | None":
        """The fault after one request, or None if that was the last one."""
        if self.left is None:
            return self
        return evolve(self, left=self.left - 1) if self.left > 1 else None

    def applied(self, usual: Response) -> Response | Scripted:
        """The response to a request that would normally get `usual`."""
        return Scripted(usual, self.wait, self.ends) if self.response is None else self.response


def make_fault(how: int | Mishap, times: int | None, on: str, options: FaultOptions) -> Fault:
    """A validated fault. Raises ConfigurationError for an impossible fault or an option that it does not accept."""
    kind: str = "status" if isinstance(how, int) else how
    if kind not in OPTIONS or (how not in STATUSES and kind == "status"):
        raise ConfigurationError(f"{how!r} is not a fault: use a status from 200 to 599, or slow, cut, lost or html")
    if times is not None and (type(times) is not int or times < 1):
        raise ConfigurationError(f"The times of a fault are 1 or more, or None for always, not {times!r}")
    if superfluous := sorted(options.keys() - OPTIONS[kind]):
        raise ConfigurationError(f"A {how} fault takes no {' and no '.join(superfluous)}")
    try:
        wait = options.get("seconds", 1.0 if how == "slow" else 0.0)
        ends = ENDINGS.get(how, "whole")
        return Fault(how=how, left=times, on=on, response=_response(how, options), wait=wait, ends=ends)
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(f"A {how} fault cannot be made of this: {problem.args[0]}") from None


def _response(how: int | Mishap, options: FaultOptions) -> Response | None:
    """The response to send instead of the usual one; None if the usual one is sent, e.g. late or in part."""
    if how == "html":
        return Response(502, HTML, BAD_GATEWAY)
    if not isinstance(how, int):
        return None
    headers: dict[str, Any] = dict(options.get("headers", {}))
    if "retry_after" in options:
        headers["Retry-After"] = str(options["retry_after"])
    if not all(SENDABLE.fullmatch(f"{name}: {value}") for name, value in headers.items()):
        raise ValueError("a header's name or value holds characters that cannot be sent")
    return error(how, options.get("message"), headers)
