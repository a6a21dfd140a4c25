"""The transports that use real sockets. What is promised of one is tried with each: see `make` in conftest.py."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

Make = Callable[..., Any]

KINDS = {"aiohttp": "AiohttpTransport", "httpx2": "Httpx2Transport"}


def installed(kind: str) -> bool:
    """Whether the extra of this name is."""
    return find_spec(kind) is not None


def transport_class(kind: str) -> Make:
    """The class of this kind."""
    made: Make = getattr(import_module(f"chatloom_async.transports.{kind}"), KINDS[kind])
    return made
