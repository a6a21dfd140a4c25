"""Turns text from outside into text that can be shown, in an error, on a terminal or in a log."""

import re

TEXT_LIMIT = 2048
KEY_LIKE = re.compile(r"clf_[^\s\"'`,]+")
CONTROL = re.compile(  # and whatever else is not seen, but acts: on direction, on joining, or on who reads closely
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]+"
)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text from outside, fit for a terminal or a log: no keys, no control characters, `limit` bytes at most."""
    text = CONTROL.sub(" ", KEY_LIKE.sub("clf_***", text)).strip()
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return KEY_LIKE.sub(
        "clf_***", raw[: limit - 3].decode(errors="ignore") + "..."
    )  # where the cut went through a mask
