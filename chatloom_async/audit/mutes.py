"""Mutes: findings that are accepted until a day, each for a reason, read from a TOML file.

    [[mutes]]
    rule = "domain-wildcard"        # a glob pattern; or finding = "0123456789abcdef"
    workspace = "acme-*"            # optional, a glob pattern
    subject = "*.acme.example"      # optional, a glob pattern
    reason = "Until the new shop is live"
    until = 2026-09-30              # the last day, in UTC

Rows are stored with all findings and muted when they are reported, so a mute never hides the past.
"""

from collections.abc import Collection, Iterable
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from ..wire.cleaning import clean
from ..wire.errors import ConfigurationError
from .entries import toml_document, whole
from .formats.text import visible
from .rules.registry import no_rule
from .values import Finding, make_finding


@frozen(kw_only=True)
class Mute:
    """Silences the findings of some rules, or one finding, for a reason and until a day (included).

    Exactly one of `rule` (a glob pattern of ids) and `finding` (an id) is given. `workspace` and `subject` are
    case-sensitive glob patterns; None matches all. A text copied out of a report matches what it was copied from,
    including special characters. `place` is the mute's place in the file.
    """

    reason: str
    until: date
    rule: str | None = None
    finding: str | None = None
    workspace: str | None = None
    subject: str | None = None
    place: str = field(default="", eq=False)

    def matches(self, workspace: str, finding: Finding) -> bool:
        """Whether it matches this finding, regardless of the date."""
        return (
            (finding.id == self.finding if self.rule is None else fnmatchcase(finding.rule, self.rule))
            and self.covers(workspace)
            and (self.subject is None or _matches(self.subject, finding.subject))
        )

    def covers(self, workspace: str) -> bool:
        """Whether it is about this workspace."""
        return self.workspace is None or _matches(self.workspace, workspace)

    @property
    def target(self) -> str:
        """What it silences, in the file's own words: the same text for the same mute in every run."""
        names = ("rule", "finding", "workspace", "subject")
        return ", ".join(f"{name} {value}" for name in names if (value := getattr(self, name)) is not None)


def _matches(pattern: str, text: str) -> bool:
    """Whether the glob pattern, or the text as a report shows it, is this text."""
    if pattern == text or fnmatchcase(text, pattern):
        return True
    shown = visible(text)
    reported = {shown, shown.strip(), clean(text)}
    return pattern.removeprefix("'") in reported or any(
        fnmatchcase(spelling, pattern) for spelling in reported - {text}
    )


@frozen
class MuteResult:
    """The findings of one workspace: those to report, findings about expired mutes included, and the muted ones."""

    kept: tuple[Finding, ...]
    muted: tuple[Finding, ...] = ()


def _mutes(mutes: Iterable[Mute]) -> tuple[Mute, ...]:
    return tuple(mutes)


@define
class Mutes:
    """The mutes of one run. `today` is its day in UTC."""

    mutes: tuple[Mute, ...] = field(converter=_mutes)
    today: date
    _used: set[int] = field(factory=set, init=False)

    def apply(self, workspace: str, findings: Iterable[Finding]) -> MuteResult:
        """Every finding once, kept or muted. An expired mute that would have silenced one adds a finding
        `mute-expired`, after the others."""
        if not self.mutes:
            return MuteResult(tuple(findings))
        left: list[Finding] = []
        muted: list[Finding] = []
        expired: dict[int, Mute] = {}
        for finding in findings:
            matching = {place: mute for place, mute in enumerate(self.mutes) if mute.matches(workspace, finding)}
            self._used.update(matching)
            if any(self.today <= mute.until for mute in matching.values()):
                muted.append(finding)
            else:
                left.append(finding)
                expired |= matching
        ended = (_ended(workspace, expired[place]) for place in sorted(expired))
        return MuteResult((*left, *ended), tuple(muted))

    def unused(self, workspaces: Collection[str]) -> tuple[str, ...]:
        """A sentence for each mute that has matched nothing so far. Ask at the end of a run over these workspaces."""
        return tuple(
            f"The mute {mute.place or mute.target} matches {self._reason(mute, workspaces)}"
            for place, mute in enumerate(self.mutes)
            if place not in self._used
        )

    def _reason(self, mute: Mute, workspaces: Collection[str]) -> str:
        expired = "it expired too; " if mute.until < self.today else ""
        if not any(map(mute.covers, workspaces)):
            return f"no workspace: {expired}remove it, or correct its workspace {clean(mute.workspace or '', 200)!r}"
        return f"no finding: {expired}remove it, or correct what it names"


def _ended(workspace: str, mute: Mute) -> Finding:
    message = (
        f"The mute ended on {mute.until.isoformat()} (it was there because: {mute.reason}). "
        "Correct what it was for, or give it a new date."
    )
    return make_finding(workspace, "mute-expired", "warning", agent_id=None, subject=mute.target, message=message)


TARGETS = ("rule", "finding")
TEXTS = (*TARGETS, "workspace", "subject", "reason")
FIELDS = (*TEXTS, "until")


class MutesFileError(ConfigurationError):
    """The file of mutes cannot be used. The message names file and entry. Nothing was sent."""

    hint = "An entry is {rule | finding, workspace, subject, reason, until}: a reason and a last day are a must."


def load_mutes(path: Path, *, rules: Collection[str] = ()) -> tuple[Mute, ...]:
    """The mutes, in the order of the file. An empty file has none. Raises MutesFileError.

    A mute whose `rule` matches none of `rules`, if ids are given, is an error: it would silence nothing.
    """
    try:
        with path.open("rb") as file:
            mutes = _entries(toml_document(whole(file).decode("utf-8-sig")))
        for mute in mutes:
            if rules and mute.rule is not None and not any(fnmatchcase(name, mute.rule) for name in rules):
                raise MutesFileError(f"{mute.place}: {no_rule(mute.rule, rules)}")
        return tuple(mutes)
    except OSError as problem:
        reason = f"cannot be read: {problem.strerror}"
    except UnicodeDecodeError:
        reason = "cannot be read: it is not UTF-8 text"
    except MutesFileError as problem:
        reason = problem.message
    raise MutesFileError(f"{path}: {reason}")


def _entries(document: dict[str, Any] | str) -> list[Mute]:
    if isinstance(document, str):
        raise MutesFileError(document)
    entries = document.get("mutes", [])
    if others := sorted(set(document) - {"mutes"}):
        raise MutesFileError(f"unknown at the top level: {', '.join(others)}. Only [[mutes]] is read")
    if not isinstance(entries, list):
        raise MutesFileError("holds no list of mutes: write [[mutes]] above each")
    mutes = []
    for number, entry in enumerate(entries, 1):
        place = f"entry {number}"
        if problem := _problem(entry):
            raise MutesFileError(f"{place}: {problem}")
        mutes.append(Mute(**entry, place=place))
    return mutes


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
    if type(entry.get("until")) is not date:  # for isinstance, a datetime is a date too
        wanted = "a day without quotes and time, such as 2026-09-30"
        return f"until is not {wanted}" if "until" in entry else f"until is missing: give it {wanted}"
    return None
