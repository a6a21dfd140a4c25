"""Decodes bytes into plain models in one pass with msgspec, for a third of the cost. Nearly every answer is plain.

A model is plain if each of its fields is required, has no converter or validator, and is of one of the types below.
A msgspec struct is generated from it, because msgspec renames members in structs only. What the struct accepts, the
strict reader in structure.py accepts too. What it does not accept goes to the strict reader, which names the place.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import attrs
import msgspec

from .encode import wire_name


@attrs.frozen
class _Frozen:
    """A frozen class without a behaviour of its own."""


OF_FROZEN: Any = _Frozen.__setattr__  # what refuses assignments in every class that attrs freezes

PLAIN: dict[Any, Any] = {
    str: str,
    bool: bool,
    int: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],  # beyond that, JSON readers disagree
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
}
QUOTED: set[type] = {str, datetime}


@attrs.frozen
class FastDecoder:
    """A model's struct, and how to count the quotes in its JSON: the number that every document of the model has, the
    fields with lists of strings, and the fields with lists of models."""

    struct: Any
    quotes: int
    texts: tuple[str, ...]
    nested: tuple[tuple[str, "FastDecoder"], ...]

    def quotes_in(self, values: Any) -> int:
        """The minimum number of quotes in its JSON. It has more if a member is duplicate or unknown, or if a text
        contains an escaped quote."""
        count = self.quotes
        for name in self.texts:
            count += 2 * len(getattr(values, name))
        for name, decoder in self.nested:
            inner = getattr(values, name)
            if decoder.texts or decoder.nested:
                count += sum([decoder.quotes_in(value) for value in inner])
            else:
                count += len(inner) * decoder.quotes
        return count


def fast_decoder(model: Any, outer: tuple[Any, ...] = ()) -> FastDecoder | None:
    """The decoder of a plain model; None for anything else, such as a model that contains itself."""
    if model in outer or not _is_plain(model):
        return None
    types: list[tuple[str, Any]] = []
    texts: list[str] = []
    nested: list[tuple[str, FastDecoder]] = []
    quotes = 0
    hints = get_type_hints(model)
    for name, kind in [(field.name, hints[field.name]) for field in attrs.fields(model)]:
        inner = get_args(kind)[0] if get_origin(kind) is tuple and get_args(kind)[1:] == (...,) else None
        quotes += 4 if kind in QUOTED else 2  # around its name, and around its value
        if kind in PLAIN:
            types.append((name, PLAIN[kind]))
        elif inner in PLAIN:
            types.append((name, GenericAlias(tuple, (PLAIN[inner], ...))))
            texts += [name] if inner in QUOTED else []
        elif inner is not None and (within := fast_decoder(inner, (*outer, model))):
            types.append((name, GenericAlias(tuple, (within.struct, ...))))
            nested.append((name, within))
        else:
            return None
    names = {field.name: wire_name(field) for field in attrs.fields(model)}
    struct = msgspec.defstruct(model.__name__, types, rename=names, gc=False)
    return FastDecoder(struct, quotes, tuple(texts), tuple(nested))


def _is_plain(model: Any) -> bool:
    """Whether constructing an instance only stores the values, so that msgspec may do it."""
    if type(model) is not type or "__attrs_attrs__" not in vars(model):
        return False
    code = getattr(vars(model).get("__init__"), "__code__", None)
    if code is None or not code.co_filename.startswith("<attrs generated") or hasattr(model, "__attrs_pre_init__"):
        return False
    if "_attrs_cached_hash" in {*code.co_names, *code.co_consts}:
        return False
    assigns: Any = model.__setattr__
    allocates: Any = model.__new__
    if allocates is not object.__new__ or assigns not in (object.__setattr__, OF_FROZEN):
        return False
    return not any(
        field.default is not attrs.NOTHING
        or field.kw_only
        or not field.init
        or field.alias != field.name
        or field.converter
        or field.validator
        or field.on_setattr
        for field in attrs.fields(model)
    )


@cache
def reader(model: Any) -> Callable[[bytes], tuple[Any, int] | None] | None:
    """Reads a body as a plain model: the value and its number of quotes, or None if the strict reader must check."""
    try:
        decoder = fast_decoder(model)
    except Exception:  # annotations that cannot be resolved, names that a struct cannot have, and the like
        return None
    if decoder is None:
        return None
    decode, convert, quotes_in = msgspec.json.Decoder(decoder.struct).decode, msgspec.convert, decoder.quotes_in

    def read(body: bytes) -> tuple[Any, int] | None:
        try:
            values = decode(body)
            return convert(values, model, from_attributes=True), quotes_in(values)
        except Exception:  # msgspec's, or of the model's __attrs_post_init__
            return None

    return read
