"""Plain-text tables: widths, folding, colour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatloom_async.audit.formats.layout import Cell, Columns, cell, columns_of, folded, line

WIDE, MARK, FLAG = "\u6f22", "e\u0301", "\U0001f99c"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), (WIDE, 2), (MARK, 1), (FLAG, 2), ("", 0), ("a\u200bb", 2), ("a\u20dd", 1)]
)
def test_a_text_takes_the_columns_of_its_characters(text: str, columns: int) -> None:
    """Wide ones take two, and marks none."""
    assert columns_of(text) == columns


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 20, ["one two three"]),
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 5, ["one", "two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("ab cdefgh", 4, ["ab", "cdef", "gh"]),
        (WIDE * 3, 4, [WIDE * 2, WIDE]),
        (WIDE * 2, 1, [WIDE, WIDE]),
        ("a  b", 1, ["a", " ", "b"]),
        ("", 1, [""]),
    ],
)
def test_a_long_text_is_folded_at_blanks_or_else_in_words(text: str, width: int, lines: list[str]) -> None:
    """Nothing that identifies something is cut off."""
    assert [part.rendered(color=False) for part in folded(cell(text), width)] == lines


@given(st.text("ab \u6f22", max_size=30), st.integers(2, 12))
def test_folding_loses_nothing_but_blanks_and_fits(text: str, width: int) -> None:
    """Whatever the text and the width."""
    parts = list(folded(cell(text), width))
    assert "".join(part.rendered(color=False) for part in parts).replace(" ", "") == text.replace(" ", "")
    assert max(part.width for part in parts) <= width


def test_styles_go_on_where_a_line_is_folded() -> None:
    """Each line is coloured for itself, and blanks are not."""
    parts = folded(line(("acme corp", "bold"), ("", "red"), ("1 error", "bold red")), 8)
    assert [part.rendered(color=True) for part in parts] == [
        "\x1b[1macme\x1b[0m",
        "\x1b[1mcorp\x1b[0m  \x1b[1;31m1\x1b[0m",
        "\x1b[1;31merror\x1b[0m",
    ]


ROWS = (
    (cell("acme corporation"), cell("1,234"), cell("a long message")),
    (cell("b"), cell("7"), (cell("x"), cell("y"))),
)


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    """Numbers stand at the right; a cell may have several lines."""
    assert Columns(("name", ">count", "message")).table(ROWS) == (
        "name              count  message\n"
        "acme corporation  1,234  a long message\n"
        "b                     7  x\n"
        "                         y\n"
    )


def test_the_widest_columns_become_narrower_where_the_screen_is_too_small() -> None:
    """Numbers and fixed columns keep their width."""
    headings = ("name", ">count", "message")
    assert Columns(headings, 26, indent=1).table(ROWS) == (
        " name      count  message\n"
        " acme      1,234  a long\n"
        " corporat         message\n"
        " ion\n"
        " b             7  x\n"
        "                  y\n"
    )
    assert Columns(headings, 32, headed=False, fixed=frozenset((0,))).table(ROWS) == (
        "acme corporation  1,234  a long\n                         message\n"
        "b                     7  x\n                         y\n"
    )


@pytest.mark.parametrize("width", range(1, 12))
def test_a_screen_of_any_width_gets_a_table(width: int) -> None:
    """Beyond some point it is wider than the screen, and complete."""
    table = Columns(("name", ">count", "message"), width, headed=False).table(ROWS)
    assert "".join(table.split()).count("1,234") == 1
    assert Columns((">count",), width, headed=False).table([(cell("1,234"),)]) == "1,234\n"


def test_a_column_can_have_a_least_width() -> None:
    """So that tables below one another are aligned."""
    assert Columns(("", ""), headed=False, least=(5,)).table([(cell("a"), cell("b"))]) == "a      b\n"


def test_text_from_outside_is_cleaned() -> None:
    """No control character reaches a terminal, also in a line of several texts."""
    assert cell("\x1b[31mred").rendered(color=True).isprintable()
    assert line(("\x1b[31mred", "bold"), ("", "")) == Cell((("[31mred", "bold"),), 7)
