"""Turns this package's snake_case names into the API's camelCase names."""

from functools import lru_cache

__all__ = ["camel"]


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """`created_at` -> `createdAt`. A trailing underscore (`from_`, `class_`) is dropped."""
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)
