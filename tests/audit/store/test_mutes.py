"""Mutes: read strictly, applied by date, and none of them forgotten."""

import csv
from collections import Counter
from contextlib import nullcontext
from datetime import date
from io import StringIO
from pathlib import Path

import pytest

from chatloom_async.audit import mutes as mutes_module
from chatloom_async.audit.formats.data import CsvFormat
from chatloom_async.audit.formats.text import visible
from chatloom_async.audit.mutes import Mute, MuteResult, Mutes, MutesFileError, load_mutes
from chatloom_async.audit.values import Finding, Row, Summary, make_finding
from chatloom_async.wire.cleaning import clean
from tests.audit.store.samples import found

TODAY = date(2026, 3, 1)
FILE = """
[[mutes]]
rule = "domain-wildcard"
workspace = "acme-*"
subject = "*.acme.example"
reason = "Until the new shop is live"
until = 2026-09-30

[[mutes]]
finding = "0123456789abcdef"
reason = "Accepted by security"
until = 2026-03-01
"""
LOCAL = found("acme", "localhost")
OTHER = found("acme", "::1")


def mute(**fields: object) -> Mute:
    """A mute that is valid today, and no longer."""
    return Mute(**{"reason": "known", "until": TODAY, **fields})  # type: ignore[arg-type]


def write(directory: Path, text: str) -> Path:
    """A file of mutes with this text."""
    path = directory / "mutes.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_gives_its_mutes_in_order(tmp_path: Path) -> None:
    """A byte order mark is no part of it."""
    loaded = load_mutes(write(tmp_path, "\ufeff" + FILE))
    assert loaded == (
        Mute(
            rule="domain-wildcard",
            workspace="acme-*",
            subject="*.acme.example",
            reason="Until the new shop is live",
            until=date(2026, 9, 30),
        ),
        Mute(finding="0123456789abcdef", reason="Accepted by security", until=TODAY),
    )
    assert [each.place for each in loaded] == ["entry 1", "entry 2"]


def test_an_empty_file_has_no_mutes(tmp_path: Path) -> None:
    """Nor is it an error."""
    assert load_mutes(write(tmp_path, "# none yet\n")) == ()


GOOD = 'rule = "r"\nreason = "because"\nuntil = 2026-09-30\n'
A_DAY = "a day without quotes and time, such as 2026-09-30"
MISTAKES = {
    "[[mutes]": "not valid TOML: Expected ']]' at the end of an array declaration (at line 1, column 8)",
    f"mutes = {'[' * 5000}": "not usable TOML: it is nested too deeply",
    f"mutes = {'9' * 5000}": "not usable TOML: an integer has too many digits",
    "[[mute]]\n": "unknown at the top level: mute. Only [[mutes]] is read",
    "mutes = 7": "holds no list of mutes: write [[mutes]] above each",
    "mutes = [7]": "entry 1: not a table: write [[mutes]] above each",
    f"[[mutes]]\n{GOOD}[[mutes]]\n{GOOD}agent = 'a'\nb = 1": "entry 2: unknown field agent, b: the known ones are "
    "rule, finding, workspace, subject, reason, until",
    f"[[mutes]]\n{GOOD}finding = 'f'": "entry 1: give it exactly one of rule and finding",
    "[[mutes]]\nreason = 'x'\nuntil = 2026-09-30": "entry 1: give it exactly one of rule and finding",
    "[[mutes]]\nrule = 7": "entry 1: rule is not a text",
    f"[[mutes]]\n{GOOD}workspace = ' '": "entry 1: workspace is not a text",
    "[[mutes]]\nrule = 'r'\nuntil = 2026-09-30": "entry 1: the reason is missing: say why this may be ignored",
    "[[mutes]]\nrule = 'r'\nreason = ''\nuntil = 2026-09-30": "entry 1: reason is not a text",
    "[[mutes]]\nrule = 'r'\nreason = 'x'": f"entry 1: until is missing: give it {A_DAY}",
    "[[mutes]]\nrule = 'r'\nreason = 'x'\nuntil = '2026-09-30'": f"entry 1: until is not {A_DAY}",
    "[[mutes]]\nrule = 'r'\nreason = 'x'\nuntil = 2026-09-30T10:00:00Z": f"entry 1: until is not {A_DAY}",
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.items())
def test_a_mistake_is_named_with_its_entry(tmp_path: Path, text: str, problem: str) -> None:
    """The hint shows what an entry is made of."""
    path = write(tmp_path, text)
    with pytest.raises(MutesFileError) as caught:
        load_mutes(path)
    assert caught.value == MutesFileError(f"{path}: {problem}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Because it is not there, or is no text."""
    with pytest.raises(MutesFileError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_mutes(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(MutesFileError, match=r"a\.toml: cannot be read: it is not UTF-8 text"):
        load_mutes(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"rule": "domain-local"}, True),
        ({"rule": "domain-*"}, True),
        ({"rule": "*-wildcard"}, False),
        ({"rule": "domain-ip"}, False),
        ({"finding": LOCAL.id}, True),
        ({"finding": OTHER.id}, False),
        ({"rule": "domain-local", "workspace": "ac*"}, True),
        ({"rule": "domain-local", "workspace": "AC*"}, False),
        ({"rule": "domain-local", "subject": "local*"}, True),
        ({"rule": "domain-local", "subject": "local"}, False),
        ({"finding": LOCAL.id, "workspace": "other"}, False),
    ],
)
def test_a_mute_matches_by_rule_or_id_and_by_patterns(fields: dict[str, str], matches: bool) -> None:
    """Rules are glob patterns, as those of --rule are."""
    assert mute(**fields).matches("acme", LOCAL) is matches


def test_a_mute_is_valid_to_the_end_of_its_last_day() -> None:
    """Every finding is kept or muted, once. An expired mute does not count, next to a valid one."""
    old, valid, later = (
        mute(rule="domain-local", until=date(2026, 2, 28)),
        mute(finding=LOCAL.id),
        mute(rule="domain-local"),
    )
    mutes = Mutes((old, valid, later), TODAY)
    assert mutes.apply("acme", (LOCAL, OTHER)) == MuteResult((), (LOCAL, OTHER))
    assert mutes.unused(["acme", "birch"]) == ()


def test_an_expired_mute_mutes_nothing_and_is_found_itself() -> None:
    """Once a workspace, however many findings it had silenced, with the same id in every run."""
    old = mute(rule="domain-local", workspace="ac*", until=date(2026, 2, 28), place="entry 3")
    ended = make_finding(
        "acme",
        "mute-expired",
        "warning",
        agent_id=None,
        subject="rule domain-local, workspace ac*",
        message="The mute ended on 2026-02-28 (it was there because: known). "
        "Correct what it was for, or give it a new date.",
    )
    mutes = Mutes((old,), TODAY)
    assert mutes.apply("acme", (LOCAL, OTHER)) == MuteResult((LOCAL, OTHER, ended))
    assert mutes.apply("birch", (found("birch", "localhost"),)) == MuteResult((found("birch", "localhost"),))


def test_a_mute_that_matched_nothing_is_told_at_the_end() -> None:
    """By its place in the file, or by what it names; one for a workspace that is not there says so."""
    mutes = Mutes(
        (
            mute(rule="domain-local"),
            mute(rule="domain-ip", place="entry 2"),
            mute(finding="abc", subject="x", until=date(2026, 2, 28)),
            mute(rule="domain-*", workspace="acmee", place="entry 4"),
        ),
        TODAY,
    )
    mutes.apply("acme", (LOCAL,))
    assert mutes.unused(["acme", "birch"]) == (
        "The mute entry 2 matches no finding: remove it, or correct what it names",
        "The mute finding abc, subject x matches no finding: it expired too; remove it, or correct what it names",
        "The mute entry 4 matches no workspace: remove it, or correct its workspace 'acmee'",
    )


SUBJECTS = ["[2001:db8::1]", "*.acme.example", "a?b", "https://x/[y]", " padded ", "bidi\u202eb", "=1+1", "tab\there",
            "\ud800", "m\u00fcller.example", "'quoted'", "clf_0123456789abcdef"]  # fmt: skip


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_text_copied_out_of_a_report_matches_itself(subject: str) -> None:
    """Out of JSON, a table, CSV or HTML, as a subject or as a workspace's name."""
    told = found("acme", subject)
    report = "".join(CsvFormat().pieces([Row(subject, "ok", (), (told,))], Summary()))
    in_csv = next(csv.DictReader(StringIO(report)))
    for text in (subject, clean(subject), visible(subject), visible(subject).strip(), in_csv["subject"]):
        assert mute(rule=told.rule, subject=text).matches("acme", told)
        assert mute(rule=told.rule, workspace=text).matches(subject, told)
        assert not mute(rule=told.rule, subject=text).matches("acme", LOCAL)


def test_the_result_is_that_of_every_mute_asked_about_every_finding() -> None:
    """Also of mutes with unusual patterns, and with neither or both of rule and finding."""
    findings = [found("acme", subject) for subject in (*SUBJECTS, "quoted'", "bidi b", "https://x/y")]
    targets = ({"rule": "domain-*"}, {"rule": "x"}, {"finding": findings[3].id}, {"rule": "*", "finding": "f"}, {})
    patterns = (None, *SUBJECTS, "'quoted", "'bidi\u202eb", "*e*", "[!a]*")
    for target in targets:
        for subject in patterns:
            one = mute(subject=subject, **target)
            muted = tuple(finding for finding in findings if one.matches("acme", finding))
            assert Mutes((mute(rule="x"), one), TODAY).apply("acme", findings).muted == muted


@pytest.mark.parametrize(("subject", "asked"), [("old{}.example", 1), ("*old{}.example", 2)])
def test_few_of_many_mutes_are_asked_about_a_finding(monkeypatch: pytest.MonkeyPatch, subject: str, asked: int) -> None:
    """Those whose rule, workspace and subject fit. Each text is made readable once."""
    mutes = Mutes([mute(rule="domain-local", subject=subject.format(number)) for number in range(300)], TODAY)
    findings = [found("acme", f"new{number}.example") for number in range(100)]
    findings += [found("acme", "old7.example"), found("acme", "cold7.example")]
    calls, shown = list[str](), Counter[str]()
    matches, readable = Mute.matches, visible

    def counted_match(mute: Mute, workspace: str, finding: Finding) -> bool:
        calls.append(finding.subject)
        return matches(mute, workspace, finding)

    def counted_text(text: str) -> str:
        shown[text] += 1
        return readable(text)

    monkeypatch.setattr(Mute, "matches", counted_match)
    monkeypatch.setattr(mutes_module, "visible", counted_text)
    mutes_module._reported.cache_clear()
    assert len(mutes.apply("acme", findings).muted) == len(calls) == asked
    assert set(shown.values()) == {1}


@pytest.mark.parametrize(("rule", "known"), [("domain-*", True), ("domainz-*", False), ("domain-ip", True)])
def test_a_rule_that_matches_no_rule_is_an_error(tmp_path: Path, rule: str, known: bool) -> None:
    """It would silence nothing."""
    path = write(tmp_path, f"[[mutes]]\nrule = '{rule}'\nreason = 'x'\nuntil = 2026-09-30")
    with nullcontext() if known else pytest.raises(MutesFileError, match="entry 1: No rule is called 'domainz-"):
        assert [each.rule for each in load_mutes(path, rules=["domain-ip", "domain-local"])] == [rule]
