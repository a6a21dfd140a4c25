"""Turns a TOML file of mutes into `Mute` values, or into an error that names the entry.

    [[mutes]]
    rule = "domain-wildcard"        # or finding = "0123456789abcdef"
    workspace = "acme-*"            # optional, a glob pattern
    subject = "*.acme.example"      # optional, a glob pattern
    reason = "Until the new shop is live"
    until = 2026-09-30              # the last day, in UTC

Reads the file and nothing else; whether a mute is of any use shows in the run.
"""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

from ...wire.errors import ConfigurationError
from ..rules.registry import no_rule
from ..toml import toml_document
from .values import Mute

TARGETS = ("rule", "finding")
TEXTS = (*TARGETS, "workspace", "subject", "reason")
FIELDS = (*TEXTS, "until")


class MutesFileError(ConfigurationError):
    """The file of mutes cannot be used. The message names file and entry. Nothing was sent."""

    hint = "An entry is {rule | finding, workspace, subject, reason, until}: a reason and a last day are a must."


def load_mutes(path: Path, *, rules: Collection[str] = ()) -> tuple[Mute, ...]:
    """The mutes, in the order of the file. An empty file has none. Raises MutesFileError.

    A mute for a rule that is not among `rules`, where any ids are given, is an error: it would silence nothing.
    """
    try:
        mutes = _mutes(toml_document(path.read_text("utf-8-sig")))
        for each in mutes:
            if rules and each.rule is not None and each.rule not in rules:
                raise MutesFileError(f"{each.place}: {no_rule(each.rule, rules)}")
        return tuple(mutes)
    except OSError as problem:
        reason = f"cannot be read: {problem.strerror}"
    except UnicodeDecodeError:
        reason = "cannot be read: it is not UTF-8 text"
    except MutesFileError as problem:
        reason = problem.message
    raise MutesFileError(f"{path}: {reason}")


def _mutes(document: dict[str, Any] | str) -> list[Mute]:
    if isinstance(document, str):
        raise MutesFileError(document)
    entries = document.get("mutes", [])
    if others := sorted(set(document) - {"mutes"}):
        raise MutesFileError(f"unknown at the top level: {', '.join(others)}. Only [[mutes]] is read")
    if not isinstance(entries, list):
        raise MutesFileError("holds no list of mutes: write [[mutes]] above each")
    return [_mute(entry, f"entry {number}") for number, entry in enumerate(entries, 1)]


def _mute(entry: Any, place: str) -> Mute:
    if problem := _problem(entry):
        raise MutesFileError(f"{place}: {problem}")
    return Mute(**entry, place=place)


def _problem(entry: Any) -> str | None:
    """What is wrong with an entry, or None."""
    if not isinstance(entry, dict):
        return "not a table: write [[mutes]] above each"
    if unknown := sorted(set(entry) - set(FIELDS)):
        return f"unknown field {', '.join(unknown)}: the known ones are {', '.join(FIELDS)}"
    for name in TEXTS:
        if name in entry and not (isinstance(entry[name], str) and entry[name].strip()):
            return f"{name} is not a text"
    if len([name for name in TARGETS if name in entry]) != 1:
        return "give it exactly one of rule and finding"
    if "reason" not in entry:
        return "the reason is missing: say why this may be ignored"
    if type(entry.get("until")) is not date:  # a moment is a date as well, for isinstance
        wanted = "a day without quotes and time, such as 2026-09-30"
        return f"until is not {wanted}" if "until" in entry else f"until is missing: give it {wanted}"
    return None
