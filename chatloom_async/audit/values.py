"""The values of an audit: workspaces, rows, findings and totals. They hold no client and do no I/O."""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Literal

from attrs import define, field, fields, frozen
from attrs.validators import optional

from ..endpoints.agents import Agent
from ..wire.cleaning import clean, first_of
from ..wire.errors import ChatloomError
from ..wire.validation import Requirement
from .keys import KeyReference

State = Literal["ok", "partial", "failed"]
Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first."""

DomainMatching = Literal["exact", "subdomains", "unknown"]
"""What an allowed domain matches: its host name, its subdomains too, or unknown. The API does not document it."""

FormatName = Literal["table", "json", "jsonl", "csv", "markdown", "html", "github", "junit", "sarif"]
FailOn = Literal["error", "warning", "info", "never"]
"""The least severe finding that makes an audit fail."""

UNREAD_SHOWN = 3  # hosts that a sentence names
NAME = Requirement("a text", lambda value: isinstance(value, str))
KEY = Requirement("a KeyEnv, KeyJson, KeyFile, KeyCommand or ApiKey", lambda value: isinstance(value, KeyReference))
TEXTS = Requirement("a tuple of texts", lambda value: isinstance(value, tuple))


@frozen
class Workspace:
    """One workspace to audit: its name in reports, and where its key is found.

    `key` is a reference that is resolved while the audit runs (`KeyEnv`, `KeyJson`, `KeyFile`, `KeyCommand`), or an
    `ApiKey` in code. `expect` are the domains that its agents should allow; None: nothing is expected.
    `line` is where its entry begins in the file that lists it, if it comes from one.
    Raises ConfigurationError for anything else.
    """

    name: str = field(validator=NAME)
    key: KeyReference = field(validator=KEY)
    tags: tuple[str, ...] = field(default=(), validator=TEXTS)
    expect: tuple[str, ...] | None = field(default=None, validator=optional(TEXTS))
    line: int | None = field(default=None, eq=False, kw_only=True)


@frozen
class Failure:
    """Why something could not be read: the error's class name and text, without a key or a control character."""

    type: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        text = str(error) if isinstance(error, ChatloomError) else clean(str(error))
        return cls(type(error).__name__, text or "no message")


class IncompleteListError(ChatloomError):
    """The list of agents contradicts itself, so that some may be missing. A row carries it; it is never raised."""

    hint = "Run the audit again; if it persists, send request and response to Chatloom's support."


@frozen
class AuditedAgent:
    """An agent as the list gave it, with its allowed domains, or None if they could not be read.

    `error` says why they could not. Without an error and without domains, the agent was gone by the time
    they were asked for, or the audit of its workspace stopped before.
    """

    agent: Agent
    domains: tuple[str, ...] | None
    error: Failure | None = None


@frozen
class Finding:
    """One result of a rule about a workspace. `agent_id` is None if it concerns the whole workspace.

    `subject` is what it is about, such as a domain. `id` is the same in every run in which the same rule
    finds the same thing.
    """

    id: str
    rule: str
    severity: Severity
    agent_id: str | None
    subject: str
    message: str


def make_finding(
    workspace: str, rule: str, severity: Severity, *, agent_id: str | None, subject: str, message: str
) -> Finding:
    """The finding with its id, which depends on everything but the message and the severity."""
    identity = "\0".join((workspace, rule, agent_id or "", subject))
    digest = blake2b(identity.encode(errors="backslashreplace"), digest_size=8).hexdigest()
    return Finding(digest, rule, severity, agent_id, subject, message)


@frozen
class DnsReading:
    """How far the DNS was read for one workspace: `asked` host names, and those that gave no answer, with the reason.

    The rules that need the DNS did not judge what is in `unread`.
    """

    asked: int
    unread: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """A sentence about what was not read; "" if everything was."""
        if not self.unread:
            return ""
        named = first_of([host for host, _ in self.unread], UNREAD_SHOWN)
        reasons = "; ".join(dict.fromkeys(reason for _, reason in self.unread))
        return f"DNS not read for {len(self.unread):,} of {self.asked:,} hosts ({reasons}): {named}."


@frozen
class Row:
    """The result of one workspace. `error` is None if, and only if, `state` is "ok".

    ok: the list of agents and the domains of each were read. partial: the list was read, but it or some
    domains are not whole. failed: nothing was read. `requests` counts attempts, repeats included.
    `dns` is None if the DNS was not asked.
    """

    workspace: str
    state: State
    agents: tuple[AuditedAgent, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: Failure | None = None
    requests: int = 0
    dns: DnsReading | None = None

    @property
    def domain_count(self) -> int:
        """Allowed domains of all agents, repetitions included."""
        return sum(len(agent.domains or ()) for agent in self.agents)

    @property
    def counts(self) -> dict[Severity, int]:
        """Findings by severity, the worst first."""
        severities = [finding.severity for finding in self.findings]
        return {severity: severities.count(severity) for severity in SEVERITIES}

    @property
    def names(self) -> dict[str, str]:
        """The agents' names by their ids."""
        return {audited.agent.id: audited.agent.name for audited in self.agents}


def at_or_above(severity: Severity) -> tuple[Severity, ...]:
    """The severities that count as failures with `--fail-on SEVERITY`."""
    return SEVERITIES[: SEVERITIES.index(severity) + 1]


@define
class Summary:
    """Totals over rows, which are counted one by one and not kept.

    workspaces = ok + partial + failed, agents = read + unread + gone.
    An agent is read when its domains are known, gone when it vanished during the audit, unread otherwise.
    `hosts` counts the host names that the DNS was asked about, `unread_hosts` those of them that gave no answer.
    `interrupted` is True if the audit ended before every workspace had its row.
    """

    ok: int = 0
    partial: int = 0
    failed: int = 0
    read: int = 0
    unread: int = 0
    gone: int = 0
    domains: int = 0
    error: int = 0
    warning: int = 0
    info: int = 0
    requests: int = 0
    hosts: int = 0
    unread_hosts: int = 0
    interrupted: bool = False

    @property
    def workspaces(self) -> int:
        return self.ok + self.partial + self.failed

    @property
    def agents(self) -> int:
        return self.read + self.unread + self.gone

    @property
    def findings(self) -> int:
        return self.error + self.warning + self.info

    @classmethod
    def of(cls, row: Row) -> "Summary":
        """The totals of one row."""
        summary = cls()
        summary.add(row)
        return summary

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every count, in the order of the arguments."""
        return COUNTS(self)

    @classmethod
    def of_numbers(cls, numbers: Iterable[int]) -> "Summary":
        """The totals that have these `numbers`. Raises ValueError if there are more or fewer."""
        summary = cls()
        for name, count in zip(COUNTED, numbers, strict=True):
            setattr(summary, name, count)
        return summary

    def include(self, other: "Summary") -> None:
        """Adds the totals of other rows."""
        for name, count in zip(COUNTED, other.numbers, strict=True):
            if count:
                setattr(self, name, getattr(self, name) + count)

    def add(self, row: Row) -> None:
        setattr(self, row.state, getattr(self, row.state) + 1)
        for finding in row.findings:
            setattr(self, finding.severity, getattr(self, finding.severity) + 1)
        without_domains = [audited for audited in row.agents if audited.domains is None]
        self.read += len(row.agents) - len(without_domains)
        if without_domains:
            gone = {finding.agent_id for finding in row.findings if finding.rule == "agent-gone"}
            lost = sum(row.state == "ok" or audited.agent.id in gone for audited in without_domains)
            self.gone += lost  # in an ok row all, even if the finding about it is muted
            self.unread += len(without_domains) - lost
        self.domains += row.domain_count
        self.requests += row.requests
        if row.dns:
            self.hosts += row.dns.asked
            self.unread_hosts += len(row.dns.unread)

    def by_severity(self) -> Counter[Severity]:
        """The findings by severity."""
        return Counter({"error": self.error, "warning": self.warning, "info": self.info})

    def replace_findings(self, old: tuple[Finding, ...], new: tuple[Finding, ...]) -> None:
        """Counts the findings of a row that had others when it was added."""
        for findings, count in ((old, -1), (new, 1)):
            for finding in findings:
                setattr(self, finding.severity, getattr(self, finding.severity) + count)

    def document(self) -> dict[str, Any]:
        """The totals as JSON types. `dns` is present only if the DNS was queried."""
        dns = {"dns": {"asked": self.hosts, "unread": self.unread_hosts}} if self.hosts else {}
        return {
            "workspaces": {"total": self.workspaces, "ok": self.ok, "partial": self.partial, "failed": self.failed},
            "agents": {"total": self.agents, "read": self.read, "unread": self.unread, "gone": self.gone},
            "domains": self.domains,
            "findings": {"total": self.findings, "error": self.error, "warning": self.warning, "info": self.info},
            "requests": self.requests,
            **dns,
            "interrupted": self.interrupted,
        }


COUNTED = tuple(counted.name for counted in fields(Summary) if counted.name != "interrupted")
COUNTS = attrgetter(*COUNTED)
