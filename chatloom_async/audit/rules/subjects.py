"""What a rule looks at: one domain of an agent, one agent, or one workspace. Values only; they judge nothing."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from attrs import Factory, frozen

from ...endpoints.agents import Agent
from ..values import AuditedAgent, Row, Workspace
from .hostname import Domain, parse_domain


@frozen
class Evidence:
    """What the answers said beyond what a row keeps. None, or empty: it is not known.

    `count` is the list's own number of agents, `unknown_fields` the JSON paths that the documentation does not
    mention, `fingerprint` that of the key (equal for equal keys, within one process).
    """

    count: int | None = None
    unknown_fields: tuple[str, ...] = ()
    fingerprint: str | None = None


@frozen
class Others:
    """Other workspaces that were seen before: the names of the first few, and how many there are."""

    names: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more} more" if more else "")


@frozen
class CheckedWorkspace:
    """A workspace with what was read of it, at the moment `now` (aware).

    `same_domain` has the other workspaces by `Domain.key`, `same_key` those with the same API key.
    """

    workspace: Workspace
    row: Row
    now: datetime
    evidence: Evidence = Evidence()
    same_domain: Mapping[str, Others] = Factory(dict)
    same_key: Others = Others()

    @cached_property
    def agents(self) -> tuple["CheckedAgent", ...]:
        """In the order of the list. Domains that could not be read are None."""
        return tuple(CheckedAgent(each, self) for each in self.row.agents)

    @cached_property
    def expected(self) -> tuple[Domain, ...] | None:
        """The domains that it should allow, without repetitions; None where nothing is expected."""
        expect = self.workspace.expect
        return None if expect is None else tuple({(each := parse_domain(text)).key: each for text in expect}.values())

    @cached_property
    def expected_keys(self) -> frozenset[str]:
        return frozenset(each.key for each in self.expected or ())


@frozen
class CheckedAgent:
    """One agent of a workspace."""

    audited: AuditedAgent
    workspace: CheckedWorkspace

    @property
    def agent(self) -> Agent:
        return self.audited.agent

    @cached_property
    def domains(self) -> tuple[Domain, ...] | None:
        """In the order of the list, repetitions included; None where they could not be read."""
        domains = self.audited.domains
        return None if domains is None else tuple(parse_domain(text) for text in domains)


@frozen
class CheckedDomain:
    """One domain that an agent allows. One that its list holds twice is checked once."""

    domain: Domain
    agent: CheckedAgent

    @property
    def workspace(self) -> CheckedWorkspace:
        return self.agent.workspace


Subject = CheckedDomain | CheckedAgent | CheckedWorkspace
