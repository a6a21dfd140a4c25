"""Markdown for a comment or a job summary on GitHub."""

import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatloom_async.audit import Finding, Row
from chatloom_async.audit.formats.github import LIMIT, MarkdownFormat
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import HOSTILE, ROWS, TEXTS, golden, hostile_rows, written

LINKED = re.compile(r"@\w|#\d|://|\bwww\.|\bGH-", re.IGNORECASE)  # what GitHub makes a link of


def inline(text: str) -> list[Token]:
    """The pieces of text in the document, as a reader of GitHub's dialect sees them."""
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [child for token in parsed for child in token.children or ()]


def many(number: int) -> tuple[Row, ...]:
    """More findings than fit."""
    findings = tuple(
        Finding(f"{n}", f"rule-{n % 3}", "info", None, f"site-{n}.example", "It is odd. " * 5) for n in range(number)
    )
    return (Row("acme", "ok", (), findings),)


def test_totals_then_the_worst_then_what_to_do() -> None:
    """As it stands in a comment."""
    text = written(MarkdownFormat(TEXTS))
    assert text == golden("report.md", text)


def test_without_findings_there_are_only_totals() -> None:
    """And no table without lines."""
    assert written(MarkdownFormat(TEXTS), ROWS[:1]) == (
        "## Chatloom audit\n\n**0 errors, 0 warnings, 0 info** in 1 workspace (1 ok), 1 agent and 1 allowed domain.\n"
    )


def test_an_interrupted_audit_says_so() -> None:
    """Also where no workspace was reached."""
    assert written(MarkdownFormat(), (), interrupted=True) == (
        "## Chatloom audit\n\n**0 errors, 0 warnings, 0 info** in 0 workspaces, 0 agents and 0 allowed domains.\n"
        "\nThe audit was interrupted: some workspaces are missing.\n"
    )


def test_it_fits_and_says_what_it_leaves_out() -> None:
    """As many lines as there is room for, however many findings there are."""
    text = written(MarkdownFormat(), many(5000))
    lines = text.count("\n| \U0001f535")
    assert LIMIT - 1000 < len(text) <= LIMIT
    assert text.endswith(f"\n\nLeft out for lack of room: {5000 - lines:,} findings. The format json has all.\n")


def test_advice_is_left_out_before_findings() -> None:
    """And that is said, too."""
    texts: dict[str, tuple[str, str, str]] = {f"rule-{n}": ("info", "Why. " * 20, "Fix. " * 20) for n in range(3)}
    text = written(MarkdownFormat(texts, limit=1200), many(3))  # type: ignore[arg-type]
    assert len(text) <= 1200
    assert text.count("\n| \U0001f535") == 3
    assert text.endswith("\nLeft out for lack of room: the advice for 2 rules. The format json has all.\n")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_is_inert(text: str) -> None:
    """No markup, HTML, link, picture or mention comes of it; as code, it reads as it was written."""
    document = written(MarkdownFormat({text: ("error", text, text)}), hostile_rows(text))
    tokens = inline(document)
    ours = {"text", "code_inline", "strong_open", "strong_close", "em_open", "em_close", "softbreak"}
    assert {token.type for token in tokens} <= ours
    assert not [token.content for token in tokens if token.type == "text" and LINKED.search(token.content)]
    codes = [token.content for token in tokens if token.type == "code_inline"]
    assert codes[0] == visible(text).strip()
    assert document.replace("\n", "").isprintable()


def test_what_a_sentence_quotes_can_be_copied() -> None:
    """As code, it needs nothing that keeps GitHub from making a link of it. A single quotation mark is one."""
    finding = Finding("1", "rule", "info", None, "", 'Not "http://www.a.example" or "", but 1" of www.b.example')
    assert '| Not `http://www.a.example` or (empty), but 1" of www&#8203;.b.example |' in written(
        MarkdownFormat(), (Row("acme", "ok", (), (finding,)),)
    )


def test_blank_text_is_called_empty() -> None:
    """Without a backtick that would begin something else."""
    (row,) = hostile_rows(" ")
    assert "| (empty) |" in written(MarkdownFormat(), (row,))
