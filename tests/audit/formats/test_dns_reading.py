"""Hosts for which the DNS gave no answer: every format for people says so, and JSON has them all."""

import pytest
from attrs import evolve

from chatloom_async.audit import Row, Summary
from chatloom_async.audit.document import row_document
from chatloom_async.audit.formats.github import GithubFormat, MarkdownFormat
from chatloom_async.audit.formats.html import HtmlFormat
from chatloom_async.audit.formats.interface import Format
from chatloom_async.audit.formats.junit import JunitFormat
from chatloom_async.audit.formats.sarif import SarifFormat
from chatloom_async.audit.formats.table import TableFormat
from chatloom_async.audit.store.sqlite import decode_row, encode_row
from chatloom_async.audit.values import DnsReading
from tests.audit.rules.cases import audited

UNREAD = tuple((f"{letter}.example", "SERVFAIL") for letter in "abcde")
READ = Row("acme", "ok", (audited("a.example"),), dns=DnsReading(12))
PARTLY = evolve(READ, dns=DnsReading(1200, UNREAD))
SENTENCE = "DNS not read for 5 of 1,200 hosts (SERVFAIL): a.example, b.example, c.example and 2 more."
FORMATS = (TableFormat, MarkdownFormat, GithubFormat, SarifFormat, JunitFormat, HtmlFormat)


def written(form: Format, row: Row) -> str:
    """The report with this one row."""
    summary = Summary()
    summary.add(row)
    return "".join(form.pieces((row,), summary))


def test_all_hosts_are_named_if_they_are_few() -> None:
    """Then there are no more."""
    assert str(DnsReading(9, UNREAD[:3])).endswith(": a.example, b.example, c.example.")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_report_says_what_was_not_read(kind: type[Format]) -> None:
    """In one sentence for the workspace. Nothing is said if all was read."""
    plain = written(kind(), PARTLY).replace("\\(", "(").replace("\n    ", " ")
    assert " ".join(SENTENCE.split()) in " ".join(plain.split())
    assert "DNS" not in written(kind(), READ).replace("DNS-", "")


def test_json_has_every_host_and_reason() -> None:
    """Without the option, there is no such field."""
    unread = [{"host": host, "reason": reason} for host, reason in UNREAD]
    assert row_document(PARTLY)["dns"] == {"asked": 1200, "unread": unread}
    assert row_document(READ)["dns"] == {"asked": 12, "unread": []}
    assert "dns" not in row_document(evolve(READ, dns=None))


def test_totals_count_them() -> None:
    """A host counts for every workspace that has it."""
    summary = Summary()
    assert "dns" not in summary.document()
    for row in (PARTLY, READ, evolve(READ, dns=None)):
        summary.add(row)
    assert summary.document()["dns"] == {"asked": 1212, "unread": 5}


def test_a_kept_row_still_says_it() -> None:
    """A resumed run reports it like the first time."""
    assert decode_row(encode_row(PARTLY)) == PARTLY


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [(DnsReading(3), ""), (DnsReading(3, UNREAD[:1]), "DNS not read for 1 of 3 hosts (SERVFAIL): a.example.")],
)
def test_a_reading_is_a_sentence(reading: DnsReading, sentence: str) -> None:
    """Only what is missing is worth one."""
    assert str(reading) == sentence
