"""What is promised of every text that this package makes of what strangers wrote, and of every error."""

import pickle
import re
import unicodedata

from chatloom_async import ChatloomError

SHOWN_KEY = re.compile(r"clf_[^\s\"'`,*]*[A-Za-z0-9]")
LONGEST = 2048 + 512  # bytes: the text, and what to do next
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate; line and paragraph separators
SEEN_ALL_THE_SAME = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]")


def harmless(shown: str) -> None:
    """The text has an end, and shows neither a key nor, unseen, anything else."""
    assert len(shown.encode()) <= LONGEST, f"{len(shown.encode())} bytes of text"
    assert not SHOWN_KEY.search(shown), f"a key shows in {shown!r}"
    unseen = {each for each in SEEN_ALL_THE_SAME.sub("", shown) if unicodedata.category(each) in UNSEEN}
    assert not unseen, f"invisible characters: {unseen}"


def explained(error: ChatloomError, *kinds: type[ChatloomError], begin: str = "", without: str = "") -> None:
    """The error keeps what is promised of all, and is of exactly one of these kinds.

    It says something in one short, visible line that begins with `begin` and, if that is long enough to be no accident,
    does not quote `without`. It shows no key, has no other exception behind it, and equals its own copy.
    """
    assert type(error) in kinds, f"{type(error).__name__} is not documented here"
    shown = str(error)
    assert shown.strip(), "the error says nothing"
    assert shown.startswith(begin), f"{shown!r} does not begin with {begin!r}"
    assert len(without) < 12 or without not in shown, f"{shown!r} quotes what it was given"
    harmless(shown)
    assert not SHOWN_KEY.search(repr(error)), f"a key shows in {error!r}"
    assert (error.__cause__, error.__context__) == (None, None), "another exception is chained, with its frames"
    assert pickle.loads(pickle.dumps(error)) == error, "the error is not its own copy"
