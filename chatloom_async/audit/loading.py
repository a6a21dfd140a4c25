"""Checks the entries of a list of workspaces, makes workspaces of them, and chooses among these.

Errors name the file, the entry and its place in the file, and never quote a key.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.cleaning import KEY_LIKE, clean
from ..wire.errors import ConfigurationError
from .entries import (
    FIELDS,
    KEY_FIELDS,
    LISTS,
    SOURCES,
    Entry,
    Notice,
    WorkspacesFileError,
    WorkspacesFileUnreadableError,
    meant,
    ndjson_entries,
    whole,
)
from .keys import KeyEnv, KeyFile, KeyJson, KeyReference, command_key
from .rules.hostname import parse_domain, quoted
from .values import Workspace

HALF = re.compile(r"[\ud800-\udfff]")
HALF_PROBLEM = "holds half of a character (a lone surrogate): write it whole"
VARIABLE = re.compile(r"[^=\s\x00]+")
ONE_OF = "give it exactly one of key_env, key_json, key_file and key_command"


def load_workspaces(
    path: Path, *, inline_keys: bool = False, notice: Notice = lambda text: None
) -> tuple[Workspace, ...]:
    """The workspaces of a file, whose format follows from its name: .toml, .json, .csv, .tsv, .ndjson or .jsonl.

    A relative `key_file` counts from the file's own directory; a `key_command` runs in the working directory of this
    process, so a relative path in it counts from there. `inline_keys` accepts the field `key`.
    `notice` is called with a sentence for what was ignored, such as an unknown column of a CSV file.
    Raises WorkspacesFileError for a file that cannot be read or used.
    """
    entries = SOURCES.get(path.suffix.lower())
    if entries is None:
        raise WorkspacesFileError(f"{path}: the file name does not show its format: end it in {', '.join(SOURCES)}")
    try:
        with path.open("rb") as file:
            raw = whole(file)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise WorkspacesFileUnreadableError(f"{path}: cannot be read: {reason}") from None
    return _workspaces(str(path), raw, entries, path.parent, inline_keys=inline_keys, notice=notice)


def load_ndjson(text: str | bytes, *, inline_keys: bool = False) -> tuple[Workspace, ...]:
    """The workspaces of NDJSON from standard input, which is UTF-8. A relative `key_file` counts from the working
    directory."""
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    return _workspaces("standard input", raw, ndjson_entries, Path(), inline_keys=inline_keys)


def _workspaces(
    source: str,
    raw: bytes,
    entries: Callable[[str, Notice], Iterable[Entry]],
    directory: Path,
    *,
    inline_keys: bool,
    notice: Notice = lambda text: None,
) -> tuple[Workspace, ...]:
    workspaces: list[Workspace] = []
    places: dict[str, str] = {}
    try:
        for entry in entries(_text(raw), lambda text: notice(f"{source}: {text}")):
            workspace = _workspace(entry, directory, inline_keys)
            if (taken := places.setdefault(workspace.name, entry.place)) != entry.place:
                raise _error(entry.place, f"the name {workspace.name!r} is already that of {taken}: rename one")
            workspaces.append(workspace)
        if not workspaces:
            raise WorkspacesFileError("holds no workspace: add one, or leave the file out to audit one key's workspace")
    except WorkspacesFileError as problem:
        reason = problem.message
    else:
        return tuple(workspaces)
    raise WorkspacesFileError(f"{source}: {reason}")


def _text(raw: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 with a byte order mark, as spreadsheets save it."""
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
    raise WorkspacesFileError(
        f"line {line}: it is not UTF-8 text. Save it as UTF-8; a spreadsheet calls that 'CSV UTF-8'"
    )


def _error(place: str, problem: str) -> WorkspacesFileError:
    return WorkspacesFileError(f"{place}: {problem}")


def _workspace(entry: Entry, directory: Path, inline_keys: bool) -> Workspace:
    place, fields = entry.place, entry.value
    if not isinstance(fields, dict):
        raise _error(place, "not an object with a name and a key reference")
    if unknown := sorted(str(name) for name in set(fields) - set(FIELDS)):
        known = ", ".join(field for field in FIELDS if field != "key" or inline_keys)
        named = ", ".join(f"{clean(name, 80)}{meant(name)}" for name in unknown)
        raise _error(place, f"unknown field {named}: the known ones are {known}")
    name = fields.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _error(place, "the name is missing: give every workspace one")
    if KEY_LIKE.search(name):
        raise _error(place, "the name holds a key: name the workspace, and treat that key as exposed")
    if _has_half(name):
        raise _error(place, f"the name {HALF_PROBLEM}")
    if field := next((field for field, value in fields.items() if _has_half(value)), None):
        raise _error(f"{place} ({name})", f"{field} {HALF_PROBLEM}")
    key = _key(fields, f"{place} ({name})", directory, inline_keys)
    tags, expect = (_words(fields, field, f"{place} ({name})") for field in LISTS)
    if problem := next(filter(None, map(_domain_problem, expect or ())), None):
        raise _error(f"{place} ({name})", f"expect: {problem}")
    return Workspace(name, key, tags=tags or (), expect=expect, line=entry.line)


def _has_half(value: Any) -> bool:
    """Whether the text, or a text of the list, cannot be encoded, e.g. for the operating system or a report."""
    if isinstance(value, str):
        return not value.isascii() and HALF.search(value) is not None
    return isinstance(value, list) and any(isinstance(text, str) and HALF.search(text) for text in value)


def _words(entry: dict[str, Any], field: str, place: str) -> tuple[str, ...] | None:
    words = entry.get(field)
    if words is None:
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise _error(place, f"{field} is not a list of strings")
    return tuple(words)


def _domain_problem(text: str) -> str | None:
    """What is wrong with an expected domain, and what was probably meant; or None."""
    domain = parse_domain(text)
    if not domain.problems:
        return None
    meant = f"write {quoted(domain.host)}" if domain.meant else "write the name of a host, such as acme.example"
    return f"{domain.shown} is not a bare host name ({', '.join(domain.problems)}): {meant}"


def _key(entry: dict[str, Any], place: str, directory: Path, inline_keys: bool) -> KeyReference:
    given = [field for field in KEY_FIELDS if entry.get(field) is not None]
    if "key" in given and not inline_keys:
        raise _error(place, f"holds a key itself, which a file should not: {ONE_OF} (or allow it: --inline-keys)")
    if len(given) != 1:
        raise _error(place, f"{'no key reference' if not given else 'has ' + ' and '.join(given)}: {ONE_OF}")
    (field,) = given
    value = entry[field]
    words = value.split("#") if isinstance(value, str) else ()
    if field in BELONGS and any(word.startswith("clf_") for word in words):
        raise _error(place, f"{field} holds a key: put {BELONGS[field]} there, and treat that key as exposed")
    reference = _reference(field, value, directory)
    if isinstance(reference, str):
        raise _error(place, f"{field} {reference}")
    return reference


BELONGS = {
    "key_env": "the name of an environment variable",
    "key_json": "VARIABLE#NAME",
    "key_file": "the path of a file",
}
"""What a field should hold, for an error about a key in its place."""


def _reference(field: str, value: Any, directory: Path) -> KeyReference | str:
    """The key reference; a string says what is wrong with the value."""
    if field == "key":
        key = api_key_or_error(value)
        return key if isinstance(key, ApiKey) else f"cannot be used: {key.message}"
    if field == "key_command":
        return command_key(value) or "is neither a command line nor a list of its words"
    text = value if isinstance(value, str) else ""
    if field == "key_env":
        return KeyEnv(text) if VARIABLE.fullmatch(text) else "is not the name of a variable"
    if field == "key_json":
        variable, _, member = text.partition("#")
        return KeyJson(variable, member) if VARIABLE.fullmatch(variable) and member else "is not VARIABLE#NAME"
    if not text.strip() or "\0" in text:
        return "is not a path"
    return KeyFile(text if text.startswith("~") else directory / text)


class NothingSelectedError(ConfigurationError):
    """The filters leave no workspace. Nothing was sent."""

    hint = "Check --only, --exclude and --tag; --dry-run lists the selected workspaces."


def select(
    workspaces: Collection[Workspace],
    *,
    only: Iterable[str] = (),
    exclude: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> tuple[Workspace, ...]:
    """The workspaces that match one of `only` (case-sensitive globs) and none of `exclude`, and have one of `tags`.

    An empty `only` or `tags` matches all. Raises NothingSelectedError if none is left.
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
    raise NothingSelectedError(f"No workspace is selected, out of {len(workspaces)} in the list")
