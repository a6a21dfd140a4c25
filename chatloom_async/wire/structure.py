"""Turns a JSON document into the type that an endpoint promises, strictly, by cattrs.

cattrs' defaults are generous (null becomes 'None', a string becomes a list of letters); a client that
invents data is worse than one that fails, so every hook here looks before it takes. Unknown members are
accepted: the API may grow.
"""

from collections.abc import Callable
from collections.abc import Sequence as AbstractSequence
from datetime import datetime
from typing import Any, NoReturn, get_args, get_origin, is_typeddict

import attrs
import cattrs
import msgspec
from attrs import frozen
from cattrs.cols import is_any_set, is_mapping, is_sequence, list_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from .cleaning import clean
from .encode import camel
from .errors import ConfigurationError

__all__ = ["Mismatch", "structure"]

Hook = Callable[[Any, Any], Any]

JSON_TYPES: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}
ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {tuple: tuple, AbstractSequence: tuple, set: set, frozenset: frozenset}


@frozen
class Mismatch:
    """Why a document is not what was asked for, and the JSON path of the first place where it does not."""

    reason: str
    path: str


class WrongTypeError(ValueError):
    """A JSON value of another type than expected; its text is fit to show."""


def _wrong_type(expected: str, value: object) -> NoReturn:
    raise WrongTypeError(f"expected {expected}, got {JSON_TYPES[type(value)]}")


def _only(kind: type, structure: Hook | None = None) -> Hook:
    """A cattrs hook that takes values of exactly this JSON type (True is no integer) and passes them on."""

    def hook(value: Any, target: Any) -> Any:
        if type(value) is not kind:
            _wrong_type(JSON_TYPES[kind], value)
        return value if structure is None else structure(value, target)

    return hook


def _number(value: Any, _: Any) -> Any:
    return value if type(value) in (int, float) else _wrong_type("a number", value)


def _instant(text: str) -> datetime:
    """As fast_decode.py reads it, so that both readers agree to the microsecond; msgspec knows RFC 3339 only."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(text)


def _moment(value: Any, _: Any) -> datetime:
    """ISO 8601 with Z or an offset; the result is aware."""
    if type(value) is not str:
        _wrong_type("a string (ISO 8601)", value)
    try:
        moment = _instant(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise WrongTypeError(f"expected ISO 8601 with a time zone, got {clean(value, 60)!r}")
    return moment


def _object(cls: Any, converter: cattrs.Converter) -> Hook:
    attrs.resolve_types(get_origin(cls) or cls)  # annotations may be strings
    names: dict[str, Any] = {each.name: override(rename=camel(each.name)) for each in attrs.fields(cls)}
    return _only(dict, make_dict_structure_fn(cls, converter, **names))


def _mapping(cls: Any, converter: cattrs.Converter) -> Hook:
    return _only(dict, mapping_structure_factory(cls, converter))


def _is_array(cls: Any) -> bool:
    return get_origin(cls) is tuple or is_any_set(cls) or is_sequence(cls)  # which stumbles over tuple[X]


def _array(cls: Any, converter: cattrs.Converter) -> Hook:
    if get_origin(cls) is tuple and get_args(cls)[1:] != (...,):  # cattrs would spell a string into tuple[str, str]
        raise cattrs.StructureHandlerNotFoundError(f"{cls} is not of the form tuple[X, ...]", type_=cls)
    structure: Hook = list_structure_factory(cls, converter)
    make = ARRAYS.get(get_origin(cls) or cls)
    return _only(list, structure if make is None else lambda value, target: make(structure(value, target)))


def _refused(_: Any, cls: Any) -> NoReturn:
    """For what cattrs would fill without a look: it makes two gigabytes of bytes of a number."""
    raise cattrs.StructureHandlerNotFoundError(f"{cls} is no type of JSON's", type_=cls)


def _converter(*, detailed: bool) -> cattrs.Converter:
    made = cattrs.Converter(detailed_validation=detailed)
    for kind in (str, int, bool):
        made.register_structure_hook(kind, _only(kind))
    made.register_structure_hook(float, _number)
    made.register_structure_hook(datetime, _moment)
    for fits, factory in ((attrs.has, _object), (is_mapping, _mapping), (_is_array, _array)):
        made.register_structure_hook_factory(fits, factory)
    made.register_structure_hook(bytes, _refused)
    made.register_structure_hook(bytearray, _refused)
    made.register_structure_hook_factory(is_typeddict, lambda *_: _refused)
    return made


FAST = _converter(detailed=False)
DETAILED = _converter(detailed=True)  # a second pass after a failure, to name the place: it costs a third more


def structure(document: Any, returns: Any) -> Any | Mismatch:
    """The document as `returns`, or where and why it does not fit. Raises ConfigurationError for a type that cannot be
    read from JSON."""
    try:
        return FAST.structure(document, returns)
    except cattrs.StructureHandlerNotFoundError as problem:
        unknown = str(problem)
    except Exception:  # whatever a hook stumbled over: the second pass stumbles too, and says where
        return _detailed(document, returns)
    raise ConfigurationError(f"The endpoint's type cannot be read from JSON: {unknown}")


def _detailed(document: Any, returns: Any) -> Any | Mismatch:
    try:
        return DETAILED.structure(document, returns)
    except Exception as problem:
        return Mismatch(*_first(problem, "$"))


def _first(problem: BaseException, path: str) -> tuple[str, str]:
    """Reason and JSON path of the first misfit in cattrs' tree of errors."""
    if not isinstance(problem, cattrs.BaseValidationError):
        return ("required member missing" if isinstance(problem, KeyError) else str(problem)), path
    inner = problem.exceptions[0]
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            path += f".{camel(note.name)}"
        elif isinstance(note, cattrs.IterableValidationNote):
            path += f"[{note.index!r}]"
    return _first(inner, path)
