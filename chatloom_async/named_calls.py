"""Turns an endpoint class into a method of the client, so that a named call is one line there."""

import inspect
import re
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .wire.endpoint import Endpoint

T = TypeVar("T")
P = ParamSpec("P")


class Sender(Protocol):
    """Whatever calls endpoints."""

    async def send(self, endpoint: Endpoint[T]) -> T: ...


def method_of(endpoint: Callable[P, Endpoint[T]]) -> Callable[Concatenate[Sender, P], Coroutine[Any, Any, T]]:
    """The method that sends such an endpoint, with the endpoint's parameters and documentation."""

    async def method(self: Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(endpoint(*args, **kwargs))

    cls: Any = endpoint
    parameters = inspect.signature(cls.__init__).replace(return_annotation=cls.returns)
    method.__name__ = re.sub(r"(?<!^)([A-Z])", r"_\1", cls.__name__).lower()
    method.__qualname__ = f"AsyncChatloom.{method.__name__}"
    method.__doc__ = cls.__doc__
    method.__signature__ = parameters  # type: ignore[attr-defined]
    return method
