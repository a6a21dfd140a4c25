"""Validates options. A bad value raises a ConfigurationError that says what is accepted.

The error shows a number, but only the type of any other value, which could be a key.
"""

import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from math import inf
from numbers import Integral, Real
from typing import Any, Final

from attrs import frozen

from .errors import ConfigurationError

MAX_SECONDS = 1e9  # seconds, some thirty years: event loops and HTTP libraries cannot count much further


@frozen
class Requirement:
    """The requirement of an option, as text and as a test. It is an attrs validator; `check` is for other uses."""

    what: str
    fits: Callable[[Any], bool]

    def __call__(self, _: object, attribute: Any, value: Any) -> None:
        self.check(attribute.name, value)

    def check(self, name: str, value: object) -> None:
        """Raises ConfigurationError."""
        if not self.fits(value):
            raise ConfigurationError(f"{name} must be {self.what}, not {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        return f"{value}" if abs(value) < sys.maxsize or not isinstance(value, int) else "a number that large"
    return f"a value of the type {type(value).__name__}"


def _real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def has_methods(value: object, *methods: str) -> bool:
    """Whether it is an object, not a class, with these methods."""
    return not isinstance(value, type) and all(callable(getattr(value, method, None)) for method in methods)


def is_async(function: object) -> bool:
    """Whether calling it gives a coroutine: an async function or method, or an object with an async __call__."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def none_if_infinite(seconds: Any) -> Any:
    """Converts an infinite limit to None."""
    return None if isinstance(seconds, float) and seconds == inf else seconds


LIMIT: Final = Requirement(
    "a number of seconds above 0 and below 1e9, or None for no limit",
    lambda value: value is None or (_real(value) and 0 < value < MAX_SECONDS),
)
WAIT: Final = Requirement("a number of seconds from 0 to 1e9", lambda value: _real(value) and 0 <= value < MAX_SECONDS)
MAX_WAIT: Final = Requirement(
    "a number of seconds, 0 or more", lambda value: _real(value) and (0 <= value < MAX_SECONDS or value == inf)
)
INTERVAL: Final = Requirement(
    "a number of seconds above 0 and below 1e9", lambda value: _real(value) and 0 < value < MAX_SECONDS
)
RATE: Final = Requirement("a number above 0 and below 1e9", lambda value: _real(value) and 0 < value < MAX_SECONDS)
COUNT: Final = Requirement(
    "a whole number, 1 or more",
    lambda value: not isinstance(value, bool) and isinstance(value, Integral) and 1 <= int(value) <= sys.maxsize,
)
FUNCTION: Final = Requirement("a function that is not async", lambda value: callable(value) and not is_async(value))
