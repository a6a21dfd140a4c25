"""The base class of response models: conversion to JSON, and support for FastAPI.

It does not import pydantic: pydantic calls the hook below, and its schemas are plain dictionaries.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, get_type_hints

import attrs

from .encode import timestamp, wire_name

__all__ = ["Model"]


class Model:
    """An attrs model of an answer. `to_dict()` converts it to JSON types. It works as a FastAPI `response_model`."""

    __slots__ = ()

    def to_dict(self, *, python_names: bool = False) -> dict[str, Any]:
        """The model as JSON types, with the API's names (`primaryColor`) or Python's (`primary_color`). A datetime
        becomes a string in the API's format.

            agents = await chatloom.list_agents()
            print(agents.to_dict()["agents"][0]["createdAt"])  # 2026-01-12T14:41:57.480Z
        """
        names = {field.name: field.name if python_names else wire_name(field) for field in _fields(type(self))}
        return {shown: _json(getattr(self, name), python_names=python_names) for name, shown in names.items()}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """pydantic's hook: an object with the model's fields under the API's names. Instances pass unchanged."""
        hints, fields = get_type_hints(cls), _fields(cls)
        members = {
            field.name: {
                "type": "typed-dict-field",
                "schema": handler.generate_schema(hints[field.name]),
                "validation_alias": wire_name(field),
                "serialization_alias": wire_name(field),
                "required": True,
            }
            for field in fields
        }
        mapping = {"type": "typed-dict", "fields": members}

        def validate(value: Any, structure: Callable[[Any], dict[str, Any]]) -> Any:
            return value if isinstance(value, cls) else cls(**structure(value))

        def serialize(value: Any, write: Callable[[dict[str, Any]], Any]) -> Any:
            return write({field.name: getattr(value, field.name) for field in fields})

        return {
            "type": "function-wrap",
            "function": {"type": "no-info", "function": validate},
            "schema": mapping,
            "serialization": {"type": "function-wrap", "function": serialize, "schema": mapping},
            "ref": f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
        }


def _fields(cls: Any) -> "tuple[attrs.Attribute[Any], ...]":
    return cls.__attrs_attrs__  # type: ignore[no-any-return]


def _json(value: Any, *, python_names: bool) -> Any:
    if isinstance(value, Model):
        return value.to_dict(python_names=python_names)
    if isinstance(value, tuple):
        return [_json(item, python_names=python_names) for item in value]
    return timestamp(value) if isinstance(value, date) else value
