"""The agents that the sandbox stores, and how they are generated from a seed and the workspace's name.

They are the same in every process and Python: only `random()` of a seeded generator is used, because Python guarantees
only that sequence. The result does not depend on the clock, on hash randomization or on earlier calls. Some agents have
problems that an audit finds; all have the documented field types. All host names are reserved by RFC 2606.
"""

import random
import re
import unicodedata
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import cycle
from typing import Final, TypedDict, TypeVar

from attrs import evolve, field, frozen
from attrs.validators import deep_iterable, instance_of

TODAY = datetime(2026, 1, 15, 9, tzinfo=UTC)  # the sandbox's today: the documentation's example of a `createdAt`


class AgentChanges(TypedDict, total=False):
    """The fields of an agent that can change."""

    name: str
    primary_color: str
    secondary_color: str
    position: str
    template: str
    status: str
    created_at: datetime


class NewAgent(AgentChanges, total=False):
    """The fields of an agent that can be chosen when it is added."""

    id: str
    domains: Iterable[str]


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("created_at needs a time zone")
    return moment.astimezone(UTC)


def _domains(domains: Iterable[str]) -> tuple[str, ...]:
    if isinstance(domains, str):
        raise TypeError("domains is a sequence of domains, not one string")
    return tuple(domains)


@frozen(kw_only=True)
class StoredAgent:
    """One stored agent. `created_at` is aware; `domains` are its allowed domains, oldest first.

    Texts are not validated, so a test can store a blank name or an invalid colour.
    """

    id: str = field(validator=instance_of(str))
    name: str = field(default="Sales Assistant", validator=instance_of(str))
    primary_color: str = field(default="#611F69", validator=instance_of(str))
    secondary_color: str = field(default="#764ba2", validator=instance_of(str))
    position: str = field(default="bottom-right", validator=instance_of(str))
    template: str = field(default="modern", validator=instance_of(str))
    status: str = field(default="active", validator=instance_of(str))
    created_at: datetime = field(default=TODAY, converter=_utc)
    domains: tuple[str, ...] = field(default=(), converter=_domains, validator=deep_iterable(instance_of(str)))


POSITIONS: Final = ("bottom-right", "bottom-right", "bottom-right", "bottom-left", "top-right", "top-left")
"""The four documented positions, the usual one most often."""

TEMPLATES: Final = ("modern", "modern", "classic", "minimal", "bubble")

# fmt: off
ROLES: Final = (
    "Sales Assistant", "Returns Desk", "Order Tracking", "Billing Help", "Store Finder", "Product Advisor",
    "Booking Assistant", "Warranty Desk", "Onboarding Guide", "Technical Support", "Careers Assistant",
    "Press Desk", "Size Guide", "Gift Finder", "Delivery Questions", "Account Recovery", "Subscription Help",
    "Partner Portal", "Spare Parts", "Event Concierge", "Documentation Search", "Quote Request",
    "Accessibility Help", "Night Shift",
)

PALETTES: Final = (  # primary and secondary; white text is readable on all of them
    ("#611F69", "#764ba2"), ("#0B5FFF", "#003EB3"), ("#0F766E", "#115E59"), ("#B91C1C", "#7F1D1D"),
    ("#1F2937", "#374151"), ("#9A3412", "#7C2D12"), ("#166534", "#14532D"), ("#6D28D9", "#4C1D95"),
    ("#BE185D", "#831843"), ("#0369A1", "#0C4A6E"),
)

SITES: Final = (
    "www.{brand}.example", "shop.{brand}.example", "help.{brand}.example", "blog.{brand}.example",
    "portal.{brand}.example", "{brand}.example.com", "support.{brand}.example.com", "{brand}.example.org",
    "{brand}.example.net",
)
# fmt: on

Trouble = AgentChanges | str | None
"""Fields to change, or a domain to add, or None to remove all domains."""

TROUBLES: Final[tuple[Trouble, ...]] = (
    "*",
    "*.{brand}.example",
    "localhost",
    "http://www.{brand}.example/chat",
    "{brand}.example:8443",
    "203.0.113.{number}",  # RFC 5737: reserved for documentation
    "co.uk",
    "{Brand}.Example",  # a duplicate of the first domain in another case
    "{brand}.example.",  # another duplicate, with the root's dot
    "{lookalike}.example",
    "preview.webstudio.example",  # the agency that several workspaces forgot to remove
    None,  # the documentation does not say what an empty list means
    {"name": ""},
    {"name": "   "},
    {"name": "{neighbour}"},  # the same name as the agent before
    {"primary_color": "#FFE066", "secondary_color": "#FFF3BF"},  # white text is unreadable on it
    {"primary_color": "purple"},
    {"secondary_color": "#12345"},
    {"status": "paused"},  # "Usually active", says the documentation
    {"created_at": datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)},
)


T = TypeVar("T")

TWO_YEARS = 2 * 365 * 24 * 3600 * 1000  # before TODAY; in milliseconds, the precision of `createdAt`


class Dice:
    """Random draws that depend only on the given words."""

    def __init__(self, *words: object) -> None:
        self._random = random.Random(int.from_bytes(_digest(8, *words), "big")).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def chance(self, share: float) -> bool:
        return self._random() < share

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return sorted(items, key=lambda _: self._random())


def _digest(size: int, *words: object) -> bytes:
    return blake2b(ascii(words).encode(), digest_size=size).digest()  # quoted: ("a", "bc") is not ("ab", "c")


def key_text(seed: int, workspace: str, number: int) -> str:
    """A workspace's key: `clf_` and 32 url-safe characters. `number` counts its rotations from 0."""
    return f"clf_{urlsafe_b64encode(_digest(24, 'key', seed, workspace, number)).decode()}"


def id_text(seed: int, workspace: str, number: int) -> str:
    """An id like the documented `agt_abc123`, but longer, so that 240,000 of them differ."""
    return f"agt_{b32encode(_digest(10, 'agent', seed, workspace, number)).decode().lower()[:12]}"


def brand(workspace: str) -> str:
    """The workspace's name as a host name label: `Müller & Co` -> `muller-co`."""
    plain = unicodedata.normalize("NFKD", workspace).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].rstrip("-") or "brand"


def seeded_agents(seed: int, workspace: str, count: int, trouble: float) -> list[StoredAgent]:
    """The agents of a workspace. The share `trouble` of them (0 to 1) has a problem for an audit to find."""
    dice, label = Dice("data", seed, workspace), brand(workspace)
    roles, troubles = dice.shuffled(ROLES), cycle(dice.shuffled(TROUBLES))  # use each once before repeating any
    agents: list[StoredAgent] = []
    for number in range(count):
        again, place = divmod(number, len(roles))
        name = roles[place] + (f" {again + 1}" if again else "")
        agent = _tidy_agent(dice, id_text(seed, workspace, number), name, label)
        if dice.chance(trouble):
            agent = _troubled(agent, next(troubles), dice, label, agents[-1].name if agents else name)
        agents.append(agent)
    return agents


def _tidy_agent(dice: Dice, identifier: str, name: str, label: str) -> StoredAgent:
    primary, secondary = dice.pick(PALETTES)
    more = dice.shuffled(SITES)[: dice.below(4)]
    return StoredAgent(
        id=identifier,
        name=name,
        primary_color=primary,
        secondary_color=secondary,
        position=dice.pick(POSITIONS),
        template=dice.pick(TEMPLATES),
        created_at=TODAY - timedelta(milliseconds=dice.below(TWO_YEARS)),
        domains=(f"{label}.example", *(site.format(brand=label) for site in more)),
    )


def _troubled(agent: StoredAgent, trouble: Trouble, dice: Dice, label: str, neighbour: str) -> StoredAgent:
    if trouble is None:
        return evolve(agent, domains=())
    if isinstance(trouble, str):
        lookalike = "xn--" + f"p\u0430y-{label}".encode("punycode").decode()  # a Cyrillic letter among Latin ones
        words = {"brand": label, "Brand": label.title(), "lookalike": lookalike, "number": 1 + dice.below(254)}
        return evolve(agent, domains=(*agent.domains, trouble.format_map(words)))
    changed = evolve(agent, **trouble)
    return evolve(changed, name=changed.name.format(neighbour=neighbour))
