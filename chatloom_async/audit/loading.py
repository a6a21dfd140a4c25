"""Reads lists of workspaces from TOML, JSON, CSV and NDJSON, checks every entry, and chooses among them.

Errors name the file, the entry and its place in the file.
"""

import csv
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import Any

import orjson

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.errors import ConfigurationError
from .keys import KeyEnv, KeyFile, KeyJson, KeyReference, command_key
from .rules.hostname import parse_domain, quoted
from .values import Workspace


def toml_document(text: str) -> dict[str, Any] | str:
    """The document; a string says what is wrong with the text.

    Python's parser does not put everything into a TOMLDecodeError: it has no limit of its own to nesting, and passes on
    that Python reads no integer of thousands of digits.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        return f"not valid TOML: {problem}"
    except RecursionError:
        return "not usable TOML: it is nested too deeply"
    except ValueError:
        return "not usable TOML: an integer has too many digits"


Entry = tuple[str, Any]
"""A place such as "line 3" or "entry 2", and what was found there."""

LISTS = ("tags", "expect")  # the fields that are lists: in CSV, words in one cell


class WorkspacesFileError(ConfigurationError):
    """The list of workspaces cannot be used. The message names file and place, and never quotes a key."""

    hint = (
        "An entry is {name, key_env | key_json | key_file | key_command, tags, expect}: "
        "`chatloom audit --help` shows one."
    )


def toml_entries(text: str) -> Iterator[Entry]:
    """`[[workspaces]]` tables."""
    document = toml_document(text)
    if isinstance(document, str):
        raise WorkspacesFileError(document)
    return _numbered(document)


def json_entries(text: str) -> Iterator[Entry]:
    """An array of objects, or an object with that array as its member `workspaces`."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        reason = f"{problem.msg} (line {problem.lineno}, column {problem.colno})"
    else:
        return _numbered(document)
    raise WorkspacesFileError(f"not valid JSON: {reason}")


def _numbered(document: Any) -> Iterator[Entry]:
    if isinstance(document, dict) and "mutes" in document:
        raise WorkspacesFileError("holds mutes, which have a file of their own: name that file after --mutes")
    entries = document.get("workspaces") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise WorkspacesFileError('holds no list of workspaces: [[workspaces]] in TOML, "workspaces": [...] in JSON')
    if isinstance(document, dict) and len(document) > 1:
        others = ", ".join(sorted(set(document) - {"workspaces"}))
        raise WorkspacesFileError(f"unknown at the top level: {others}. Only `workspaces` is read")
    return ((f"entry {number}", entry) for number, entry in enumerate(entries, 1))


def ndjson_entries(text: str) -> Iterator[Entry]:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as problem:
            reason = f"line {number}: not valid JSON: {problem.msg} (column {problem.colno})"
        else:
            yield f"line {number}", entry
            continue
        raise WorkspacesFileError(reason)


def csv_entries(text: str) -> Iterator[Entry]:
    """A header, then one workspace a line. Empty cells are absent fields; `tags` and `expect` are words in a cell."""
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    while True:
        try:
            cells = next(reader, None)
            reason = "more cells than the header has" if cells and None in cells else ""
        except csv.Error as problem:
            cells, reason = {}, f"not valid CSV: {problem}"
        if reason:
            raise WorkspacesFileError(f"line {reader.reader.line_num}: {reason}")
        if cells is None:
            return
        filled = {name: cell for name, cell in cells.items() if cell and cell.strip()}
        words = {name: filled[name].replace(",", " ").replace(";", " ").split() for name in LISTS if name in filled}
        yield f"line {reader.line_num}", {**filled, **words}


SOURCES: dict[str, Callable[[str], Iterator[Entry]]] = {
    ".toml": toml_entries,
    ".json": json_entries,
    ".csv": csv_entries,
    ".ndjson": ndjson_entries,
    ".jsonl": ndjson_entries,
}
"""By the file name's ending."""


__all__ = ["WorkspacesFileError", "load_ndjson", "load_workspaces"]

KEY_FIELDS = ("key_env", "key_json", "key_file", "key_command", "key")
FIELDS = ("name", *KEY_FIELDS, *LISTS)
VARIABLE = re.compile(r"[^=\s\x00]+")
ONE_OF = "give it exactly one of key_env, key_json, key_file and key_command"


def load_workspaces(path: Path, *, inline_keys: bool = False) -> tuple[Workspace, ...]:
    """The workspaces of a file, whose format follows from its name: .toml, .json, .csv, .ndjson or .jsonl.

    A relative `key_file` counts from the file's own directory; a `key_command` runs in the working directory of this
    process, so that a relative path among its words counts from there. `inline_keys` accepts the field `key`.
    Raises WorkspacesFileError for a file that cannot be read or used.
    """
    entries = SOURCES.get(path.suffix.lower())
    if entries is None:
        raise WorkspacesFileError(f"{path}: cannot tell its format by its name: end it in {', '.join(SOURCES)}")
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        reason = "it is not UTF-8 text" if isinstance(problem, UnicodeDecodeError) else problem.strerror
    else:
        return _workspaces(str(path), text, entries, path.parent, inline_keys)
    raise WorkspacesFileError(f"{path}: cannot be read: {reason}")


def load_ndjson(text: str, *, inline_keys: bool = False) -> tuple[Workspace, ...]:
    """The workspaces of NDJSON from standard input. A relative `key_file` counts from the working directory."""
    return _workspaces("standard input", text.removeprefix("\ufeff"), ndjson_entries, Path(), inline_keys)


def _workspaces(
    source: str, text: str, entries: Callable[[str], Iterator[Entry]], directory: Path, inline_keys: bool
) -> tuple[Workspace, ...]:
    found: dict[str, Workspace] = {}
    places: dict[str, str] = {}
    try:
        for place, entry in entries(text):
            workspace = _workspace(entry, place, directory, inline_keys)
            if workspace.name in found:
                taken = places[workspace.name]
                raise _error(place, f"the name {workspace.name!r} is already that of {taken}: rename one")
            found[workspace.name], places[workspace.name] = workspace, place
        if not found:
            raise WorkspacesFileError("holds no workspace: add one, or leave the file out to audit one key's workspace")
    except WorkspacesFileError as problem:
        reason = problem.message
    else:
        return tuple(found.values())
    raise WorkspacesFileError(f"{source}: {reason}")


def _error(place: str, problem: str) -> WorkspacesFileError:
    return WorkspacesFileError(f"{place}: {problem}")


def _workspace(entry: Any, place: str, directory: Path, inline_keys: bool) -> Workspace:
    if not isinstance(entry, dict):
        raise _error(place, "not an object with a name and a key reference")
    if unknown := sorted(str(name) for name in set(entry) - set(FIELDS)):
        known = ", ".join(each for each in FIELDS if each != "key" or inline_keys)
        raise _error(place, f"unknown field {', '.join(unknown)}: the known ones are {known}")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _error(place, "the name is missing: give every workspace one")
    key = _key(entry, f"{place} ({name})", directory, inline_keys)
    tags, expect = (_words(entry, field, f"{place} ({name})") for field in LISTS)
    if problem := next(filter(None, map(_domain_problem, expect or ())), None):
        raise _error(f"{place} ({name})", f"expect: {problem}")
    return Workspace(name, key, tags=tags or (), expect=expect)


def _words(entry: dict[str, Any], field: str, place: str) -> tuple[str, ...] | None:
    words = entry.get(field)
    if words is None:
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _error(place, f"{field} is not a list of strings")
    return tuple(words)


def _domain_problem(text: str) -> str | None:
    """Why an expected domain could not match what an agent should allow, and what was probably meant; or None."""
    domain = parse_domain(text)
    if not domain.problems:
        return None
    meant = f"write {quoted(domain.host)}" if domain.meant else "write the name of a host, such as acme.example"
    return f"{domain.shown} is no bare host name ({', '.join(domain.problems)}): {meant}"


def _key(entry: dict[str, Any], place: str, directory: Path, inline_keys: bool) -> KeyReference:
    given = [field for field in KEY_FIELDS if entry.get(field) is not None]
    if "key" in given and not inline_keys:
        raise _error(place, f"holds a key itself, which a file should not: {ONE_OF} (or allow it: --inline-keys)")
    if len(given) != 1:
        raise _error(place, f"{'no key reference' if not given else 'has ' + ' and '.join(given)}: {ONE_OF}")
    (field,) = given
    reference = KEYS[field](entry[field], directory)
    if isinstance(reference, str):
        raise _error(place, f"{field} {reference}")
    return reference


def _env(value: Any, _: Path) -> KeyReference | str:
    if _is_key(value):
        return "holds a key: put the name of an environment variable there, and treat that key as exposed"
    return KeyEnv(value) if isinstance(value, str) and VARIABLE.fullmatch(value) else "is not the name of a variable"


def _json(value: Any, _: Path) -> KeyReference | str:
    variable, _hash, member = value.partition("#") if isinstance(value, str) else ("", "", "")
    if _is_key(variable) or _is_key(member):
        return "holds a key: put VARIABLE#NAME there, and treat that key as exposed"
    return KeyJson(variable, member) if VARIABLE.fullmatch(variable) and member else "is not VARIABLE#NAME"


def _file(value: Any, directory: Path) -> KeyReference | str:
    if _is_key(value):
        return "holds a key: put the path of a file there, and treat that key as exposed"
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return "is not a path"
    return KeyFile(value if value.startswith("~") else directory / value)


def _command(value: Any, _: Path) -> KeyReference | str:
    return command_key(value) or "is neither a command line nor a list of its words"


def _inline(value: Any, _: Path) -> KeyReference | str:
    key = api_key_or_error(value)
    return key if isinstance(key, ApiKey) else f"cannot be used: {key.message}"


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("clf_")


KEYS: dict[str, Callable[[Any, Path], KeyReference | str]] = {
    "key_env": _env,
    "key_json": _json,
    "key_file": _file,
    "key_command": _command,
    "key": _inline,
}
"""How each way to name a key is read; a string says what is wrong with it."""


class NothingSelectedError(ConfigurationError):
    """The filters leave no workspace. Nothing was sent."""

    hint = "Check --only, --exclude and --tag; --dry-run lists what they leave."


def select(
    workspaces: Collection[Workspace],
    *,
    only: Iterable[str] = (),
    exclude: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> tuple[Workspace, ...]:
    """Those that match one of `only` (glob patterns of names, case counts), none of `exclude`, and bear one of `tags`.

    An empty `only` or `tags` matches all. Raises NothingSelectedError where none is left.
    """
    only, exclude, wanted = tuple(only), tuple(exclude), frozenset(tags)

    def chosen(workspace: Workspace) -> bool:
        return (
            (not only or any(fnmatchcase(workspace.name, pattern) for pattern in only))
            and not any(fnmatchcase(workspace.name, pattern) for pattern in exclude)
            and (not wanted or not wanted.isdisjoint(workspace.tags))
        )

    selected = tuple(workspace for workspace in workspaces if chosen(workspace))
    if selected:
        return selected
    raise NothingSelectedError(f"None of the {len(workspaces)} workspaces is selected")
