"""The contrast of white text on a hex colour."""

import re
from functools import lru_cache
from typing import Final

READABLE: Final = 4.5
"""The least contrast of normal text, 1.4.3 in the Web Content Accessibility Guidelines 2 (level AA)."""
HEX: Final = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")  # CSS Color 4; the 4th part is opacity


def is_color(text: str) -> bool:
    """Whether this is a hex colour as CSS reads it: #RGB or #RRGGBB, with opacity or without."""
    return HEX.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def white_contrast(color: str) -> float | None:
    """The contrast ratio of the colour to white, 1 to 21. None if it is not an opaque colour.

    WCAG 2's definition of contrast ratio and relative luminance.
    """
    if not is_color(color):
        return None
    digits = color[1:] if len(color) > 5 else "".join(digit * 2 for digit in color[1:])
    if digits[6:].lower() not in ("", "ff"):
        return None  # it depends on what is behind it
    red, green, blue = (_linear(int(digits[place : place + 2], 16) / 255) for place in (0, 2, 4))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
