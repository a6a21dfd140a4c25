"""Reads the entries of a list of workspaces, from TOML, JSON, NDJSON or CSV. loading.py says what an entry must hold.

People write these lists by hand and in spreadsheets. Spellings whose meaning is certain are accepted: `keyEnv` and
`Key env` for `key_env`, `[[workspace]]` for `[[workspaces]]`, semicolons or tabs in CSV. A doubled name is refused
everywhere, since one of the two values would be lost.
"""

import csv
import errno
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from io import StringIO
from typing import Any, BinaryIO

from attrs import frozen

from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError

KEY_FIELDS = ("key_env", "key_json", "key_file", "key_command", "key")
LISTS = ("tags", "expect")  # lists of strings; in CSV, words in one cell
FIELDS = ("name", *KEY_FIELDS, *LISTS)

SPELLINGS = {re.sub("_", "", name): name for name in FIELDS} | {"tag": "tags"}
HEADER = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?workspaces?[\"']?[ \t]*\]\]", re.IGNORECASE | re.MULTILINE)
SEPARATOR = re.compile(r"\A\"?sep=([^\"\r\n])\"?\r?\n", re.IGNORECASE)
SEPARATORS = ",;\t"


class WorkspacesFileError(ConfigurationError):
    """The list of workspaces cannot be used. The message names file and place, and never quotes a key."""

    hint = (
        "An entry is {name, key_env | key_json | key_file | key_command, tags, expect}: "
        "`chatloom audit --help` shows one."
    )


class WorkspacesFileUnreadableError(WorkspacesFileError):
    """The file that lists the workspaces cannot be read."""

    hint = "Check the path, and who may read it."


@frozen
class Entry:
    """One entry of a list: its value, its place for messages ("line 3", "entry 2"), and its first line."""

    place: str
    value: Any
    line: int | None = None


Notice = Callable[[str], object]
"""Called with a sentence about something that was ignored."""


def spelled(name: str) -> str:
    """The field that this name spells, in any case and with any separator of words; else the name itself."""
    return SPELLINGS.get(re.sub(r"[-_\s]+", "", name).lower(), name)


def meant(name: str) -> str:
    """The end of a sentence about an unknown field: a suggestion, or ""."""
    near = get_close_matches(re.sub(r"[-\s]+", "_", name.strip()).lower(), FIELDS, n=1, cutoff=0.75)
    return f" (probably {near[0]})" if near else ""


MAX_BYTES = 256 * 1024**2
"""Bytes that a file may have. A list of a million workspaces has about 50 MB; a device such as /dev/zero has no end."""


def whole(file: BinaryIO) -> bytes:
    """The content of an open file. Raises OSError if it has more than MAX_BYTES."""
    raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"It has more than {MAX_BYTES // 1024**2} MiB")
    return raw


def toml_document(text: str) -> dict[str, Any] | str:
    """The document; a string says what is wrong with the text.

    Python's parser does not report everything as TOMLDecodeError: it does not limit nesting, and
    Python refuses to read integers of thousands of digits.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        return f"not valid TOML: {problem}"
    except RecursionError:
        return "not usable TOML: it is nested too deeply"
    except ValueError:
        return "not usable TOML: an integer has too many digits"


def toml_entries(text: str, _: Notice) -> Iterator[Entry]:
    """`[[workspaces]]` tables."""
    document = toml_document(text)
    if isinstance(document, str):
        raise WorkspacesFileError(document)
    return _numbered(document, list(_header_lines(text)))


def _header_lines(text: str) -> Iterator[int]:
    """The lines on which the tables begin."""
    line, counted = 1, 0
    for header in HEADER.finditer(text):
        line, counted = line + text.count("\n", counted, header.start()), header.start()
        yield line


def json_entries(text: str, _: Notice) -> Iterator[Entry]:
    """An array of objects, or an object with that array as its member `workspaces`."""
    document = _json(text)
    return _numbered(document, _json_lines(text))


def _json(text: str) -> Any:
    """The JSON document. Raises WorkspacesFileError."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as problem:
        line = f"line {problem.lineno}, " if "\n" in text else ""
        reason = f"not valid JSON: {problem.msg} ({line}column {problem.colno})"
    except RecursionError:
        reason = "not usable JSON: it is nested too deeply"
    except WorkspacesFileError as problem:
        reason = problem.message
    except ValueError:
        reason = "not usable JSON: an integer has too many digits"
    raise WorkspacesFileError(reason)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(members)
    if len(document) < len(members):
        counts = Counter(name for name, _ in members)
        twice = next(name for name, count in counts.items() if count > 1)
        raise WorkspacesFileError(f"the member {clean(twice, 80)!r} comes twice in one object: remove one")
    return document


def _json_lines(text: str) -> list[int]:
    """The lines on which the objects of the list begin, in a document that is known to be valid JSON."""
    decoder, lines, line, counted = json.JSONDecoder(), [], 1, 0
    place = _list_in(text, decoder)
    while text[place] in "[,":
        place = _after_blanks(text, place + 1)
        if text[place] == "]":
            break
        line, counted = line + text.count("\n", counted, place), place
        lines.append(line)
        place = _after_blanks(text, decoder.raw_decode(text, place)[1])
    return lines


def _list_in(text: str, decoder: json.JSONDecoder) -> int:
    """Where the list should begin: at the document, or at its member `workspaces`."""
    place = _after_blanks(text, 0)
    while text[place] in "{,":
        place = _after_blanks(text, place + 1)
        if text[place] == "}":
            break
        name, place = decoder.raw_decode(text, place)
        place = _after_blanks(text, _after_blanks(text, place) + 1)
        if _is_list_name(name):
            break
        place = _after_blanks(text, decoder.raw_decode(text, place)[1])
    return place


def _after_blanks(text: str, place: int) -> int:
    while text[place : place + 1] in (" ", "\t", "\r", "\n"):
        place += 1
    return place


def _is_list_name(name: str) -> bool:
    return name.lower() in ("workspaces", "workspace")


def _numbered(document: Any, lines: list[int]) -> Iterator[Entry]:
    """The entries of a document, with their line numbers if each has one."""
    entries = document
    if isinstance(document, dict):
        if "mutes" in document:
            raise WorkspacesFileError("holds mutes, which have a file of their own: name that file after --mutes")
        names = [name for name in document if _is_list_name(name)]
        if len(names) > 1:
            raise WorkspacesFileError(f"holds two lists, {' and '.join(names)}: join them under `workspaces`")
        if others := sorted(str(name) for name in document if name not in names):
            hint = "" if names else "; the list belongs under `workspaces`"
            raise WorkspacesFileError(
                f"unknown at the top level: {clean(', '.join(others), 200)}. Only `workspaces` is read{hint}"
            )
        entries = document[names[0]] if names else None
    if isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values()) and entries:
        raise WorkspacesFileError(
            "names each workspace in its heading: write [[workspaces]] with double brackets above each, and its name "
            'as name = "..."'
        )
    if not isinstance(entries, list):
        raise WorkspacesFileError('holds no list of workspaces: [[workspaces]] in TOML, "workspaces": [...] in JSON')
    known: list[int] | list[None] = lines if len(lines) == len(entries) else [None] * len(entries)
    return (
        Entry(f"entry {number}", _fields(entry, f"entry {number}"), line)
        for number, (entry, line) in enumerate(zip(entries, known, strict=True), 1)
    )


def _fields(entry: Any, place: str) -> Any:
    """The entry with normalized field names. Raises WorkspacesFileError if two are the same field."""
    if not isinstance(entry, Mapping):
        return entry
    fields: dict[str, Any] = {}
    for name, value in entry.items():
        if (field := spelled(name)) in fields:
            raise WorkspacesFileError(f"{place}: {field} is given twice: remove one")
        fields[field] = value
    return fields


def ndjson_entries(text: str, _: Notice) -> Iterator[Entry]:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            value = _json(line)
        except WorkspacesFileError as problem:
            document = line.strip() in ("[", "{")
            hint = ". Each line is one object here: a file with one JSON document is named .json" if document else ""
            raise WorkspacesFileError(f"{place}: {problem.message}{hint}") from None
        yield Entry(place, _fields(value, place), number)


def csv_entries(text: str, notice: Notice) -> Iterator[Entry]:
    """A header, then one workspace a line, separated by commas, semicolons or tabs, or as a first line `sep=` says.

    Empty cells are absent fields. `tags` and `expect` are words in a cell, between blanks, commas or semicolons.
    Unknown columns are ignored, with one notice; one that looks like a field is an error.
    """
    skipped, delimiter = 0, None
    if separator := SEPARATOR.match(text):
        text, skipped, delimiter = text[separator.end() :], 1, separator[1]
    records = _records(text, skipped, delimiter or _delimiter(text))
    header = next(((line, cells) for line, cells in records), None)
    if header is None:
        return
    columns = _columns(header[1], f"line {header[0]}", notice)
    for line, cells in records:
        place = f"line {line}"
        if any(cell.strip() for cell in cells[len(header[1]) :]):
            raise WorkspacesFileError(f"{place}: more cells than the header has")
        filled = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name and cell.strip()}
        words = {name: re.split(r"[\s,;]+", filled[name]) for name in LISTS if name in filled}
        yield Entry(place, {**filled, **{name: [word for word in words[name] if word] for name in words}}, line)


def _records(text: str, skipped: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with its first line."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + skipped + 1
        try:
            cells = next(reader, None)
        except csv.Error as problem:
            raise WorkspacesFileError(f"line {reader.line_num + skipped}: not valid CSV: {problem}") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _delimiter(text: str) -> str:
    """The separator that gives the header the most known fields; a comma if in doubt."""
    first = next((line for line in text.splitlines() if line.strip()), "")

    def known(delimiter: str) -> int:
        return sum(spelled(cell.strip(" \"'")) in FIELDS for cell in first.split(delimiter))

    return max(SEPARATORS, key=known)


def _columns(header: list[str], place: str, notice: Notice) -> list[str | None]:
    """The field of each column; None for one that is ignored."""
    columns = [spelled(cell.strip()) for cell in header]
    unknown = [name for name in columns if name and name not in FIELDS]
    if "name" not in columns:
        raise WorkspacesFileError(
            f"{place}: the header has no column `name`. It is a line such as name,key_env,tags,expect "
            "(or with semicolons or tabs)"
        )
    if twice := next((name for name in columns if name in FIELDS and columns.count(name) > 1), None):
        raise WorkspacesFileError(f"{place}: the column {twice} is there twice: remove one")
    if close := next((name for name in unknown if meant(name)), None):
        raise WorkspacesFileError(f"{place}: unknown column {clean(close, 80)}{meant(close)}: rename or remove it")
    if not any(name in KEY_FIELDS for name in columns):
        raise WorkspacesFileError(
            f"{place}: no column says where the keys are: add {', '.join(KEY_FIELDS[:-2])} or {KEY_FIELDS[-2]}"
        )
    if unknown:
        one = len(unknown) == 1
        shown = clean(", ".join(unknown), 200)
        notice(f"ignored the column{'' if one else 's'} {shown}: {'it is' if one else 'they are'} not a field")
    return [name if name in FIELDS else None for name in columns]


SOURCES: dict[str, Callable[[str, Notice], Iterator[Entry]]] = {
    ".toml": toml_entries,
    ".json": json_entries,
    ".csv": csv_entries,
    ".tsv": csv_entries,
    ".ndjson": ndjson_entries,
    ".jsonl": ndjson_entries,
}
"""By the suffix of the file name."""
