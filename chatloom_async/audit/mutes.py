"""Mutes: findings that are accepted until a day, each for a reason, read from a TOML file.

    [[mutes]]
    rule = "domain-wildcard"        # a glob pattern; or finding = "0123456789abcdef"
    workspace = "acme-*"            # optional, a glob pattern
    subject = "*.acme.example"      # optional, a glob pattern
    reason = "Until the new shop is live"
    until = 2026-09-30              # the last day, in UTC

Rows are stored with all findings and muted when they are reported, so a mute never hides the past.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from fnmatch import fnmatchcase, translate
from functools import lru_cache
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
            (finding.id == self.finding if self.rule is None else _glob(self.rule)(finding.rule) is not None)
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


@lru_cache(maxsize=1 << 14)
def _glob(pattern: str) -> Callable[[str], object]:
    """Matches a text with the pattern, as fnmatchcase does, but remembers more patterns."""
    return re.compile(translate(pattern)).match


@lru_cache(maxsize=256)  # all mutes are applied to one finding of one workspace before the next
def _reported(text: str) -> frozenset[str]:
    """The text as reports show it."""
    shown = visible(text)
    return frozenset({shown, shown.strip(), clean(text)})


def _matches(pattern: str, text: str) -> bool:
    """Whether the glob pattern, or the text as a report shows it, is this text."""
    if pattern == text or _glob(pattern)(text):
        return True
    reported = _reported(text)
    return pattern.removeprefix("'") in reported or any(map(_glob(pattern), reported - {text}))


@define
class Candidates:
    """The mutes that may match the findings of one rule in one workspace, by their places."""

    of_all: list[int] = field(factory=list)
    by_text: dict[str, list[int]] = field(factory=dict)
    by_glob: list[tuple[int, Callable[[str], object]]] = field(factory=list)

    def add(self, place: int, mute: Mute) -> None:
        """Notes a mute that covers the workspace, and names the rule or a finding."""
        if mute.rule is None:
            self.by_text.setdefault(mute.finding or "", []).append(place)
        elif mute.subject is None:
            self.of_all.append(place)
        else:
            for text in {mute.subject, mute.subject.removeprefix("'")}:
                self.by_text.setdefault(text, []).append(place)
            if SPECIAL.search(mute.subject):
                self.by_glob.append((place, _glob(mute.subject)))

    def of(self, finding: Finding) -> set[int]:
        """Those that may match the finding. `Mute.matches` decides."""
        found = set(self.of_all)
        subjects = _reported(finding.subject) | {finding.subject}
        for text in (finding.id, *subjects):
            found.update(self.by_text.get(text, ()))
        for subject in subjects:
            found.update([place for place, matches in self.by_glob if matches(subject)])
        return found


SPECIAL = re.compile(r"[*?[]")
"""What makes a text a glob pattern."""


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
        findings = tuple(findings)
        if not (self.mutes and findings):
            return MuteResult(findings)
        left: list[Finding] = []
        muted: list[Finding] = []
        expired: dict[int, Mute] = {}
        for finding, candidates in self._candidates(workspace, findings):
            matching = {place: mute for place in candidates if (mute := self.mutes[place]).matches(workspace, finding)}
            self._used.update(matching)
            if any(self.today <= mute.until for mute in matching.values()):
                muted.append(finding)
            else:
                left.append(finding)
                expired |= matching
        ended = (_ended(workspace, expired[place]) for place in sorted(expired))
        return MuteResult((*left, *ended), tuple(muted))

    def _candidates(self, workspace: str, findings: Iterable[Finding]) -> Iterator[tuple[Finding, set[int]]]:
        """Every finding, and the mutes that may match it: few of hundreds."""
        covering = [(place, mute) for place, mute in enumerate(self.mutes) if mute.covers(workspace)]
        by_rule: dict[str, Candidates] = {}
        for finding in findings:
            if finding.rule not in by_rule:
                by_rule[finding.rule] = candidates = Candidates()
                for place, mute in covering:
                    if mute.rule is None or _glob(mute.rule)(finding.rule):
                        candidates.add(place, mute)
            yield finding, by_rule[finding.rule].of(finding)

    def unused(self, workspaces: Collection[str]) -> tuple[str, ...]:
        """A sentence for each mute that has matched nothing so far. Ask at the end of a run over these workspaces."""
        idle = {place: mute for place, mute in enumerate(self.mutes) if place not in self._used}
        lost = idle
        for workspace in workspaces:
            lost = {place: mute for place, mute in lost.items() if not mute.covers(workspace)}
        return tuple(
            f"The mute {mute.place or mute.target} matches {self._reason(mute, place in lost)}"
            for place, mute in idle.items()
        )

    def _reason(self, mute: Mute, is_lost: bool) -> str:
        expired = "it expired too; " if mute.until < self.today else ""
        if is_lost:
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
