"""Turns bytes into plain models in one pass, by msgspec: what nearly every answer is, at half the cost.

A model is plain where each of its fields is required and of one of the types below. Its mirror, a msgspec struct, is
generated from it. What a mirror takes, the strict reader in structure.py takes too; what it does not take says nothing
yet: then the strict reader decides, and names the place.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import attrs
import msgspec

from .naming import camel

PLAIN: dict[Any, Any] = {
    str: str,
    bool: bool,
    int: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],  # beyond that, JSON readers disagree
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
}


@attrs.frozen
class Mirror:
    """A model's struct, and how to get from one to the other. `nested` are the fields that hold models, by position."""

    model: Any
    struct: Any
    nested: tuple[tuple[int, "Mirror"], ...]

    def build(self, values: tuple[Any, ...]) -> Any:
        if not self.nested:
            return self.model(*values)
        parts = list(values)
        for place, mirror in self.nested:
            parts[place] = tuple([mirror.build(msgspec.structs.astuple(each)) for each in values[place]])
        return self.model(*parts)

    def members(self, values: tuple[Any, ...]) -> int:
        """How many members its JSON has at least: exactly so many, unless one is doubled or unknown."""
        count = len(values)
        for place, mirror in self.nested:
            if mirror.nested:
                count += sum(mirror.members(msgspec.structs.astuple(each)) for each in values[place])
            else:
                count += len(values[place]) * len(attrs.fields(mirror.model))
        return count


@cache
def mirror(model: Any) -> Mirror | None:
    """The mirror of a plain model; None for anything else."""
    if not attrs.has(model) or get_origin(model) or any(_is_special(each) for each in attrs.fields(model)):
        return None
    types: list[tuple[str, Any]] = []
    nested: list[tuple[int, Mirror]] = []
    for place, (name, kind) in enumerate(_hints(model)):
        inner = get_args(kind)[0] if get_origin(kind) is tuple and get_args(kind)[1:] == (...,) else None
        if kind in PLAIN:
            types.append((name, PLAIN[kind]))
        elif inner in PLAIN:
            types.append((name, GenericAlias(tuple, (PLAIN[inner], ...))))
        elif inner is not None and (within := mirror(inner)):
            types.append((name, GenericAlias(list, (within.struct,))))
            nested.append((place, within))
        else:
            return None
    struct = msgspec.defstruct(model.__name__, types, rename={name: camel(name) for name, _ in types}, gc=False)
    return Mirror(model, struct, tuple(nested))


def _hints(model: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(model)
    return [(each.name, hints[each.name]) for each in attrs.fields(model)]


def _is_special(field: "attrs.Attribute[Any]") -> bool:
    return field.default is not attrs.NOTHING or field.kw_only or not field.init


@cache
def reader(model: Any) -> Callable[[bytes], tuple[Any, int] | None] | None:
    """Reads a body as a plain model: the value and its number of members, or None where the strict reader must look."""
    found = mirror(model)
    if found is None:
        return None
    decode, build, members = msgspec.json.Decoder(found.struct).decode, found.build, found.members

    def read(body: bytes) -> tuple[Any, int] | None:
        try:
            values = msgspec.structs.astuple(decode(body))
            return build(values), members(values)
        except Exception:  # msgspec's, or of a converter or validator of the model's own
            return None

    return read
