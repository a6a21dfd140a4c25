"""The agents that the sandbox stores, and which of their fields can change. Independent of JSON and client models."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypedDict

from attrs import field, frozen
from attrs.validators import deep_iterable, instance_of

TODAY = datetime(2026, 1, 15, 9, tzinfo=UTC)
"""The sandbox's today: the documentation's example of a `createdAt`."""


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
