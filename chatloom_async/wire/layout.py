"""Decides which fields of an endpoint class go where: into the path, the query or the body.

A class that cannot be an endpoint is a ConfigurationError that says what to write instead: nothing is sent.
"""

import re
from typing import Any

import attrs

from .errors import ConfigurationError

__all__ = ["BODYLESS", "layout_of"]

PATH = re.compile(r"/[!-\"$-~]*")
OWN = frozenset({"idempotent", "method", "path", "returns", "success"})
PLACE = re.compile(r"\{(\w+)\}")
METHOD = re.compile(r"[A-Z][A-Z-]*")
BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@attrs.frozen
class Layout:
    """Which fields of an endpoint class go where."""

    path: tuple[str, ...]
    query: tuple[str, ...]
    body: tuple[str, ...]


LAYOUTS: dict[type, Layout] = {}


def layout_of(cls: Any) -> Layout:
    """The layout of a class, made when it is first needed. Raises ConfigurationError."""
    return LAYOUTS.get(cls) or _made(cls)


def _made(cls: Any) -> Layout:
    if mistake := _mistake(cls):
        raise ConfigurationError(f"{cls.__name__}{mistake}")
    names = [each.name for each in cls.__attrs_attrs__]
    asked = {each.name for each in cls.__attrs_attrs__ if each.metadata.get("in") == "query"}
    in_path = tuple(PLACE.findall(cls.path))
    rest = [name for name in names if name not in in_path]
    in_query = tuple(name for name in rest if cls.method in BODYLESS or name in asked)
    layout = LAYOUTS[cls] = Layout(in_path, in_query, tuple(name for name in rest if name not in in_query))
    return layout


def _mistake(cls: Any) -> str | None:
    """Why the class cannot be an endpoint."""
    fields = getattr(cls, "__attrs_attrs__", None)
    if fields is None:
        return " is not an attrs class: decorate it with attrs.frozen"
    names = {each.name for each in fields}
    if own := sorted(OWN & names):
        return f" has a field named {own[0]}, which describes the endpoint: write it without an annotation"
    if not isinstance(getattr(cls, "path", None), str):
        return " has no path: give it one, such as path = '/api/plugin/agents'"
    if not hasattr(cls.success, "__contains__"):
        return f".success holds statuses, such as (200,), and is not {cls.success!r}"
    if not PATH.fullmatch(cls.path):
        return ".path must begin with / and hold no blank, #, or other than ASCII"
    if not METHOD.fullmatch(cls.method):
        return ".method must be the name of an HTTP method, such as GET"
    if set("{}") & set(PLACE.sub("", cls.path)):
        return ".path has a brace that is not part of a place such as {agent_id}; the URL's own braces are %7B and %7D"
    if unknown := sorted(set(PLACE.findall(cls.path)) - names):
        return f".path names {unknown}, but the class has no such field"
    return None
