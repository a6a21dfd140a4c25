"""Text from outside as text that shows what it holds."""

import pytest

from chatloom_async.audit.formats.text import counted, visible
from tests.audit.formats.reported import HOSTILE
from tests.samples import KEY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Dôme Studio", "Dôme Studio"),
        ("one\r\ntwo\tthree\u2028four\u00a0five", "one  two three four five"),
        ("\x1b[31m\u202egnp\u200b", "\\u001b[31m\\u202egnp\\u200b"),
        ("\U000e0041\ud800\ufffe", "\\U000e0041\\ud800\\ufffe"),
        (f"the key {KEY} leaked", "the key clf_*** leaked"),
        ("x" * 2000, "x" * 2000),
        ("x" * 2001, "x" * 1997 + "..."),
        ("", ""),
    ],
)
def test_nothing_acts_and_nothing_hides(text: str, shown: str) -> None:
    """Blanks become spaces, the invisible is spelled, keys are masked, and what is too long is cut."""
    assert visible(text) == shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    """It is printable, and making it visible once more changes nothing."""
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2000, "2,000 rows")])
def test_numbers_agree_with_their_nouns(number: int, text: str) -> None:
    """As people write it."""
    assert counted(number, "row") == text
