"""Text from outside made safe to show."""

from ...wire.cleaning import KEY_LIKE
from .layout import STYLES, cell, columns, rendered

__all__ = ["LIMIT", "STYLES", "cell", "columns", "rendered", "visible"]

LIMIT = 2000  # characters: limits what one name or message can add to a report


def visible(text: str, limit: int = LIMIT) -> str:
    """The text, with keys masked. Control, direction and other invisible characters are spelled as in JSON, blanks of
    any kind are spaces, and what is longer than `limit` characters ends in "..."."""
    text = KEY_LIKE.sub("clf_***", text)
    if not text.isprintable():
        text = "".join(map(_spelled, text))
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _spelled(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace():
        return " "
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
