"""The strict reader: converts a JSON document into an endpoint's type with cattrs.

cattrs converts by default (null becomes 'None', a string becomes a list of letters). Invented data is worse than an
error, so every hook checks the JSON type first. Unknown members are accepted, because the API may add some.
"""

import re
from collections.abc import Callable
from collections.abc import Sequence as AbstractSequence
from datetime import date, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, is_typeddict

import attrs
import cattrs
import msgspec
from attrs import frozen
from cattrs.cols import is_any_set, is_mapping, is_sequence, list_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from .cleaning import clean
from .encode import wire_name
from .errors import ConfigurationError

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
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
BEYOND = re.compile(  # a leap second, or 24:00
    r"(?P<day>[^T ]*[T ])((?P<minute>[0-9]{2}:?[0-9]{2}:?)60(?P<fraction>\.[0-9]+)?|24(?P<zeros>(:?00){1,2}(\.0*)?))"
    r"(?P<zone>[Zz]|[+-][0-9:]+)"
)
ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {tuple: tuple, AbstractSequence: tuple, set: set, frozenset: frozenset}


@frozen
class Mismatch:
    """Why a document does not match a type, and the JSON path of the first mismatch."""

    reason: str
    path: str


class WrongTypeError(ValueError):
    """A JSON value of the wrong type. Its text is safe to show."""


def _wrong_type(expected: str, value: object) -> NoReturn:
    raise WrongTypeError(f"expected {expected}, got {JSON_TYPES[type(value)]}")


def _only(kind: type, structure: Hook | None = None) -> Hook:
    """A cattrs hook that accepts values of exactly this JSON type (True is not an integer)."""

    def hook(value: Any, target: Any) -> Any:
        if type(value) is not kind:
            _wrong_type(JSON_TYPES[kind], value)
        return value if structure is None else structure(value, target)

    return hook


def _number(value: Any, _: Any) -> Any:
    return value if type(value) in (int, float) else _wrong_type("a number", value)


def _instant(text: str) -> datetime:
    """Reads a datetime like fast_decode.py, to the microsecond. msgspec accepts only RFC 3339.

    A leap second and 24:00 become the following moment, because datetime cannot represent them.
    """
    if beyond := BEYOND.fullmatch(text):
        day, minute, zone = beyond["day"], beyond["minute"], beyond["zone"]
        if minute:
            return _instant(f"{day}{minute}59{beyond['fraction'] or ''}{zone}") + timedelta(seconds=1)
        return _instant(f"{day}00{beyond['zeros']}{zone}") + timedelta(days=1)
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
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise WrongTypeError(f"expected ISO 8601 with a time zone, got {clean(value, 60)!r}")
    return moment


def _object(cls: Any, converter: cattrs.Converter) -> Hook:
    attrs.resolve_types(get_origin(cls) or cls)  # annotations may be strings
    names: dict[str, Any] = {field.name: override(rename=wire_name(field)) for field in attrs.fields(cls)}
    return _only(dict, make_dict_structure_fn(cls, converter, **names))


def _mapping(cls: Any, converter: cattrs.Converter) -> Hook:
    return _only(dict, mapping_structure_factory(cls, converter))


def _is_array(cls: Any) -> bool:
    return get_origin(cls) is tuple or is_any_set(cls) or is_sequence(cls)  # which fails for tuple[X]


def _array(cls: Any, converter: cattrs.Converter) -> Hook:
    if get_origin(cls) is tuple and get_args(cls)[1:] != (...,):  # cattrs would spell a string into tuple[str, str]
        raise cattrs.StructureHandlerNotFoundError("", type_=cls)
    structure: Hook = list_structure_factory(cls, converter)
    make = ARRAYS.get(get_origin(cls) or cls)
    return _only(list, structure if make is None else lambda value, target: make(structure(value, target)))


def _date(value: Any, _: Any) -> date:
    if type(value) is not str:
        _wrong_type("a string (a date)", value)
    if not DATE.fullmatch(value):
        raise WrongTypeError(f"expected a date such as 2026-01-15, got {clean(value, 60)!r}")
    return date.fromisoformat(value)


def _is_union(cls: Any) -> bool:
    """Whether this is a union other than `X | None`, which cattrs handles."""
    return get_origin(cls) in (Union, UnionType) and len([kind for kind in get_args(cls) if kind is not NoneType]) > 1


def _union(cls: Any, converter: cattrs.Converter) -> Hook:
    """The value as the first matching type of the union, in written order."""
    kinds = get_args(cls)
    hooks = [(kind, converter.get_structure_hook(kind)) for kind in kinds]

    def hook(value: Any, _: Any) -> Any:
        for kind, structure in hooks:
            try:
                return structure(value, kind)
            except Exception:  # noqa: S112 - whatever it is, the value does not fit this type
                continue
        names = " or ".join(JSON_TYPES.get(kind) or type_name(kind) for kind in kinds)
        _wrong_type(names, value)

    return hook


def _refused(_: Any, cls: Any) -> NoReturn:
    """For types that cattrs would fill without a check: bytes(n) would allocate n zero bytes."""
    raise cattrs.StructureHandlerNotFoundError("", type_=cls)


def _converter(*, detailed: bool) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=detailed)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _only(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook(date, _date)
    converter.register_structure_hook(NoneType, _only(NoneType))
    for fits, factory in ((attrs.has, _object), (is_mapping, _mapping), (_is_array, _array), (_is_union, _union)):
        converter.register_structure_hook_factory(fits, factory)
    converter.register_structure_hook(bytes, _refused)
    converter.register_structure_hook(bytearray, _refused)
    converter.register_structure_hook_factory(is_typeddict, lambda *_: _refused)
    return converter


FAST = _converter(detailed=False)
DETAILED = _converter(detailed=True)  # a second pass after a failure, to name the place: it costs a third more


def structure(document: Any, returns: Any) -> Any | Mismatch:
    """The document as `returns`, or where and why it does not match. Raises ConfigurationError for a type that cannot
    be read from JSON."""
    try:
        return FAST.structure(document, returns)
    except cattrs.StructureHandlerNotFoundError as problem:
        unknown = problem.type_
    except Exception:  # the second pass fails too, and says where
        try:
            return DETAILED.structure(document, returns)
        except Exception as problem:
            return Mismatch(*_first(problem, "$"))
    raise ConfigurationError(f"{type_name(unknown)} cannot be read from JSON. An endpoint can answer {READABLE}")


READABLE = (
    "attrs classes, list[X], tuple[X, ...], set[X], dict[str, X], str, int, float, bool, None, datetime, date, Enum "
    "and Literal types, unions of these, and Any"
)


def type_name(kind: Any) -> str:
    """A type in the form of an annotation."""
    return kind.__qualname__ if isinstance(kind, type) and not get_args(kind) else clean(str(kind), 120)


def _first(problem: BaseException, path: str) -> tuple[str, str]:
    """Reason and JSON path of the first error in cattrs' tree of errors."""
    if not isinstance(problem, cattrs.BaseValidationError):
        return ("required member missing" if isinstance(problem, KeyError) else str(problem)), path
    inner = problem.exceptions[0]
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, cattrs.AttributeValidationNote):
            path += f".{wire_name(attrs.fields_dict(get_origin(problem.cl) or problem.cl)[note.name])}"
        elif isinstance(note, cattrs.IterableValidationNote):
            path += f"[{note.index!r}]"
    return _first(inner, path)
