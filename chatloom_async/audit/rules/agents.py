"""The rules for an agent's fields, and for several agents with the same name."""

import math
import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Final

from ...endpoints.agents import POSITIONS, STATUS_ACTIVE
from ...wire.cleaning import clean
from .hostname import quoted
from .rule import Found, rule
from .subjects import CheckedAgent, CheckedWorkspace

SKEW = timedelta(minutes=5)  # how far apart two correct clocks may be
READABLE: Final = 4.5  # the minimum contrast of normal text: Web Content Accessibility Guidelines 2, 1.4.3 (level AA)
HEX: Final = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")  # CSS Color 4; the 4th part is opacity


@rule(
    "agent-status",
    severity="warning",
    why="The documentation knows one status, active, and says that deleted agents are not listed. Another status may "
    "mean that visitors do not see the agent.",
    fix="Look the agent up in the dashboard; activate it, or delete it if it is not needed.",
)
def agent_status(checked: CheckedAgent) -> Iterable[str]:
    """Anything but `active`."""
    if checked.agent.status != STATUS_ACTIVE:
        yield f"The status is {quoted(checked.agent.status)}, not {quoted(STATUS_ACTIVE)}."


@rule(
    "agent-name-blank",
    severity="warning",
    why="The name is shown in the widget's header, which is empty for this agent's visitors.",
    fix="Give the agent a name that visitors understand.",
)
def agent_name_blank(checked: CheckedAgent) -> Iterable[str]:
    """No visible character."""
    if not clean(checked.agent.name):
        yield "The name is blank." if checked.agent.name else "The name is empty."


@rule(
    "agent-name-duplicate",
    severity="warning",
    why="Agents with the same name are easily confused, and a change may be made to the wrong one.",
    fix="Rename one of them, or delete the one that is not needed.",
)
def agent_name_duplicate(checked: CheckedWorkspace) -> Iterable[Found]:
    """On all but the oldest of them, so that a new one does not move the others' findings. Case and blanks at the
    ends do not count."""
    first: dict[str, str] = {}
    for agent in sorted((item.agent for item in checked.agents), key=lambda agent: (agent.created_at, agent.id)):
        name = clean(agent.name).casefold()
        if name and first.setdefault(name, agent.id) != agent.id:
            yield Found(f"An older agent, {clean(first[name])}, has the same name.", agent.name, agent.id)


@rule(
    "agent-color-invalid",
    severity="warning",
    why="The colours are documented as hex colours. Browsers ignore a colour that they cannot read, so the "
    "widget may not look as intended.",
    fix="Set the colour again, in the form #RRGGBB.",
)
def agent_color_invalid(checked: CheckedAgent) -> Iterable[str]:
    """Neither #RGB nor #RRGGBB, with opacity or without."""
    for kind, color in _colors(checked):
        if not is_color(color):
            yield f"The {kind} colour {quoted(color)} is not a hex colour."


@rule(
    "agent-color-contrast",
    severity="info",
    why="Light text on this colour is hard to read for many people. The guidelines that accessibility laws refer to "
    "(WCAG 2, level AA) ask for a contrast of 4.5:1; whether the widget's text is white depends on its template.",
    fix="Choose a darker colour, or check that the widget shows dark text on it.",
)
def agent_color_contrast(checked: CheckedAgent) -> Iterable[str]:
    """Less than 4.5:1 to white. Colours that are partly transparent are left out."""
    for kind, color in _colors(checked):
        ratio = white_contrast(color)
        if ratio is not None and ratio < READABLE:
            shown = math.floor(ratio * 100) / 100  # rounded up, 4.499 would look sufficient
            yield f"White text on the {kind} colour {color} has a contrast of {shown:.2f}:1, less than {READABLE}:1."


def _colors(checked: CheckedAgent) -> tuple[tuple[str, str], ...]:
    return ("primary", checked.agent.primary_color), ("secondary", checked.agent.secondary_color)


@rule(
    "agent-position-unknown",
    severity="info",
    why="The documentation names four positions. It is not known where the widget appears with another one.",
    fix="Look at the widget on its site, and choose one of the four positions.",
)
def agent_position_unknown(checked: CheckedAgent) -> Iterable[str]:
    """None of the documented four."""
    if checked.agent.position not in POSITIONS:
        yield f"The position is {quoted(checked.agent.position)}, none of {', '.join(POSITIONS)}."


@rule(
    "agent-created-in-future",
    severity="warning",
    why="An agent cannot have been created later than now: a clock is wrong, or the data was changed by hand. Lists "
    "sorted by age, such as the list of agents, may be wrong too.",
    fix="Check this machine's clock. If it is right, send the answer to Chatloom's support.",
)
def agent_created_in_future(checked: CheckedAgent) -> Iterable[str]:
    """By more than five minutes, because correct clocks differ a little."""
    if checked.agent.created_at > checked.workspace.now + SKEW:
        yield f"It was created at {checked.agent.created_at.isoformat(timespec='seconds')}, which is in the future."


@lru_cache(maxsize=4096)
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
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
