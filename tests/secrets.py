"""Everywhere a key could show after a call has failed."""

import pickle
import traceback
from typing import Any

from rich.traceback import Traceback


def places(error: BaseException) -> dict[str, str]:
    """What an error shows of itself, and of the frames it went through, by the place where it would be seen."""
    return {
        "str": str(error),
        "repr": repr(error),
        "__dict__": repr(vars(error)),
        "pickle": pickle.dumps(error).decode("latin-1"),
        "traceback": "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()),
        "rich": _rich(error),
    }


def _rich(error: BaseException) -> str:
    """The local variables as rich.traceback shows them; laying out the page would take most of the tests' time."""
    whole: dict[str, Any] = {"show_locals": True, "locals_max_string": 10**6}
    trace = Traceback.extract(type(error), error, error.__traceback__, **whole)
    frames = [frame for stack in trace.stacks for frame in stack.frames]
    return "\n".join(node.render(max_width=10**6) for frame in frames for node in (frame.locals or {}).values())


def found(secret: str, error: BaseException, *more: str) -> list[str]:
    """The places that show `secret`; `more` are texts from elsewhere, such as a log."""
    shown = {**places(error), **{f"text {number}": text for number, text in enumerate(more)}}
    return [place for place, text in shown.items() if secret in text]
