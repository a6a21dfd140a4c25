"""Turns a workspace and what was read of it into findings: every rule on every subject of its scope.

A rule that raises loses nothing but its own findings on that subject, and is named in a finding itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain

from attrs import Factory, define, evolve, field

from ...wire.cleaning import clean
from ...wire.errors import ChatloomError
from ..values import SEVERITIES, DnsReading, Finding, Row, Workspace, finding
from .hostname import parse_domain
from .registry import RULE_FAILED, RULES
from .rule import Found, Rule, Scope
from .subjects import CheckedAgent, CheckedDomain, CheckedWorkspace, Evidence, HostRecord, Others, Subject

NAMED = 3  # so many other workspaces are named; the rest is counted


@define
class Sharers:
    """Those that have something in common: the first few, and how many."""

    first: list[int]
    count: int = 1


@define
class Neighbours:
    """Who has something in common with whom, of those noted so far. Two different texts with the same 64-bit hash
    count as the same: with a million of them, a chance of one in thirty million."""

    _names: list[str] = Factory(list)
    _alone: dict[int, int] = Factory(dict)
    _shared: dict[int, Sharers] = Factory(dict)

    def note(self, workspace: str, things: Iterable[str]) -> dict[str, Others]:
        """Notes what the workspace has, and returns by thing which others had it before. Call it once a workspace."""
        number = len(self._names)
        self._names.append(workspace)
        found = ((thing, self._note(number, hash(thing))) for thing in dict.fromkeys(things))
        return {thing: others for thing, others in found if others is not None}

    def _note(self, number: int, thing: int) -> Others | None:
        earlier = self._alone.setdefault(thing, number)
        if earlier == number:
            return None
        sharers = self._shared.setdefault(thing, Sharers([earlier]))
        others = Others(tuple(self._names[each] for each in sharers.first), sharers.count)
        sharers.count += 1
        sharers.first += [number] if len(sharers.first) < NAMED else []
        return others


def judge(checked: CheckedWorkspace, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """What the rules find, the gravest first, then by rule, agent and subject. Nothing was read: nothing is found.

    The same input gives the same findings. No rule's exception gets out; it is a finding with the rule's severity.
    """
    if checked.row.state == "failed":
        return ()
    subjects: dict[Scope, list[Subject]] = {
        "domain": [
            CheckedDomain(each, agent) for agent in checked.agents for each in dict.fromkeys(agent.domains or ())
        ],
        "agent": list(checked.agents),
        "workspace": [checked],
        "audit": [],
    }
    return in_order(chain.from_iterable(_apply(each, subjects[each.scope], checked) for each in rules))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first; of each id one, with all that was said."""
    found: dict[str, Finding] = {}
    for each in findings:
        first = found.setdefault(each.id, each)
        if each.message not in first.message:
            found[each.id] = evolve(first, message=f"{first.message} {each.message}")
    return tuple(sorted(found.values(), key=_place))


def _place(found: Finding) -> tuple[int, str, str, str]:
    return SEVERITIES.index(found.severity), found.rule, found.agent_id or "", found.subject


def _apply(rule: Rule, subjects: list[Subject], checked: CheckedWorkspace) -> Iterator[Finding]:
    check, problems = rule.check, list[Exception]()
    for subject in subjects:
        try:
            said = check(subject)
            if isinstance(said, str):
                raise TypeError("it returned a text, not several: yield it, or return a list")
            for each in said:
                yield _finding(rule, subject, each, checked)
        except Exception as problem:  # whatever a rule of somebody else's may raise
            problems.append(problem)
    if problems:
        yield _failed(rule, problems, len(subjects), checked)


def _finding(rule: Rule, subject: Subject, said: str | Found, checked: CheckedWorkspace) -> Finding:
    if isinstance(said, str):
        said = Found(said)
    elif not isinstance(said, Found):
        raise TypeError(f"it gave {type(said).__name__}, neither a text nor Found")
    agent_id, about = _identity(subject)
    return finding(
        "" if said.everywhere else checked.row.workspace,
        rule.id,
        rule.severity,
        agent_id=said.agent_id or agent_id,
        subject=about if said.subject is None else said.subject,
        message=clean(said.message) or "no message",
    )


def _identity(subject: Subject) -> tuple[str | None, str]:
    """Whose finding it is, and what it is about."""
    if isinstance(subject, CheckedDomain):
        return subject.agent.agent.id, subject.domain.text
    return (subject.agent.id, subject.agent.name) if isinstance(subject, CheckedAgent) else (None, "")


def _failed(rule: Rule, problems: list[Exception], tried: int, checked: CheckedWorkspace) -> Finding:
    first, many = problems[0], f"{len(problems)} of {tried}"
    text = clean(str(first), 500)
    message = f"The rule {rule.id} failed on {many} {rule.scope}s: {type(first).__name__}: {text or 'no message'}"
    where = "" if isinstance(first, ChatloomError) else f" (defined at {clean(rule.place, 300)})"
    return finding(
        checked.row.workspace, RULE_FAILED.id, rule.severity, agent_id=None, subject=rule.id, message=message + where
    )


def _reading(dns: Mapping[str, HostRecord]) -> DnsReading:
    return DnsReading(len(dns), tuple((each.host, each.reason) for each in dns.values() if each.state == "unread"))


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _now() -> datetime:
    return datetime.now(UTC)


@define
class Judge:
    """Adds findings to the rows of one audit, and remembers what they have in common. One a run.

    `rules` are those to apply, `clock` gives the present as an aware datetime.
    """

    rules: tuple[Rule, ...] = field(default=RULES, converter=_rules)
    clock: Callable[[], datetime] = _now
    _domains: Neighbours = field(factory=Neighbours, init=False)
    _keys: Neighbours = field(factory=Neighbours, init=False)

    def judge(
        self,
        row: Row,
        workspace: Workspace,
        evidence: Evidence = Evidence(),  # noqa: B008 - it is frozen
        dns: Mapping[str, HostRecord] | None = None,
    ) -> Row:
        """The row with the rules' findings beside its own. Call it once for each row.

        `dns` is what `read_hosts` gave for this row; None: the DNS was not asked.
        """
        same_domain, same_key = self.remember(row, evidence)
        checked = CheckedWorkspace(workspace, row, self.clock(), evidence, same_domain, same_key, dns or {})
        reading = None if dns is None else _reading(dns)
        return evolve(row, findings=in_order((*row.findings, *judge(checked, self.rules))), dns=reading)

    def remember(self, row: Row, evidence: Evidence = Evidence()) -> tuple[dict[str, Others], Others]:  # noqa: B008
        """Notes a row without judging it, such as one of an earlier run that is resumed: who had its domains before,
        and who its key."""
        texts = chain.from_iterable(agent.domains or () for agent in row.agents)
        sites = (each.key for each in map(parse_domain, dict.fromkeys(texts)) if each.site)
        same_domain = self._domains.note(row.workspace, sites)
        keys = (evidence.fingerprint,) if evidence.fingerprint else ()
        return same_domain, self._keys.note(row.workspace, keys).get(keys[0], Others()) if keys else Others()
