"""Turns a workspace and what was read of it into findings: every rule on every subject of its scope.

A rule that raises loses nothing but its own findings on that subject, and is named in a finding itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain

from attrs import define, evolve, field

from ...wire.cleaning import clean
from ...wire.errors import ChatloomError
from ..values import SEVERITIES, DnsReading, DomainMatching, Finding, Row, Workspace, finding
from .hostname import parse_domain
from .overlap import OverlapIndex
from .registry import RULE_FAILED, RULES
from .rule import Found, Rule, Scope
from .subjects import CheckedAgent, CheckedDomain, CheckedOverlap, CheckedWorkspace, Evidence, HostRecord, Subject


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
        "overlap": [],
        "audit": [],
    }
    name = checked.row.workspace
    return in_order(chain.from_iterable(_apply(each, subjects[each.scope], name) for each in rules))


def judge_overlap(checked: CheckedOverlap, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """What the rules find in what a workspace has in common with others, in the order of `judge`."""
    subjects: list[Subject] = [checked]
    return in_order(
        chain.from_iterable(_apply(rule, subjects, checked.workspace) for rule in rules if rule.scope == "overlap")
    )


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


def _apply(rule: Rule, subjects: list[Subject], workspace: str) -> Iterator[Finding]:
    check, problems = rule.check, list[Exception]()
    for subject in subjects:
        try:
            results = check(subject)
            if isinstance(results, str):
                raise TypeError("it returned a text, not several: yield it, or return a list")
            for result in results:
                yield _finding(rule, subject, result, workspace)
        except Exception as problem:  # a user's rule may raise anything
            problems.append(problem)
    if problems:
        yield _failed(rule, problems, len(subjects), workspace)


def _finding(rule: Rule, subject: Subject, result: str | Found, workspace: str) -> Finding:
    if isinstance(result, str):
        result = Found(result)
    elif not isinstance(result, Found):
        raise TypeError(f"it gave {type(result).__name__}, neither a text nor Found")
    agent_id, about = _identity(subject)
    return finding(
        workspace,
        rule.id,
        rule.severity,
        agent_id=result.agent_id or agent_id,
        subject=about if result.subject is None else result.subject,
        message=clean(result.message) or "no message",
    )


def _identity(subject: Subject) -> tuple[str | None, str]:
    """Whose finding it is, and what it is about."""
    if isinstance(subject, CheckedDomain):
        return subject.agent.agent.id, subject.domain.text
    return (subject.agent.id, subject.agent.name) if isinstance(subject, CheckedAgent) else (None, "")


def _failed(rule: Rule, problems: list[Exception], tried: int, workspace: str) -> Finding:
    first, many = problems[0], f"{len(problems)} of {tried}"
    text = clean(str(first), 500)
    message = f"The rule {rule.id} failed on {many} {rule.scope}s: {type(first).__name__}: {text or 'no message'}"
    where = "" if isinstance(first, ChatloomError) else f" (defined at {clean(rule.place, 300)})"
    return finding(workspace, RULE_FAILED.id, rule.severity, agent_id=None, subject=rule.id, message=message + where)


def _reading(dns: Mapping[str, HostRecord]) -> DnsReading:
    return DnsReading(len(dns), tuple((each.host, each.reason) for each in dns.values() if each.state == "unread"))


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _now() -> datetime:
    return datetime.now(UTC)


@define
class Judge:
    """Adds findings to the rows of one audit. Use a new one for each run.

    `judge` adds what follows from a row alone. What a row has in common with others is known only once all rows were
    judged or remembered: then `add_overlaps` adds it, the same for every order in which the rows came.
    `rules` are those to apply, `clock` gives the present as an aware datetime, `matching` is
    what is known of what an allowed domain stands for.
    """

    rules: tuple[Rule, ...] = field(default=RULES, converter=_rules)
    clock: Callable[[], datetime] = _now
    matching: DomainMatching = "unknown"
    _index: OverlapIndex = field(factory=OverlapIndex, init=False)

    def judge(
        self,
        row: Row,
        workspace: Workspace,
        evidence: Evidence = Evidence(),  # noqa: B008 - it is frozen
        dns: Mapping[str, HostRecord] | None = None,
    ) -> Row:
        """The row with the rules' findings in addition to its own. Call it once for each row.

        `dns` is what `read_hosts` gave for this row; None: the DNS was not asked.
        """
        self.remember(row, evidence)
        checked = CheckedWorkspace(workspace, row, self.clock(), evidence, dns or {}, self.matching)
        reading = None if dns is None else _reading(dns)
        return evolve(row, findings=in_order((*row.findings, *judge(checked, self.rules))), dns=reading)

    def remember(self, row: Row, evidence: Evidence = Evidence()) -> None:  # noqa: B008 - it is frozen
        """Notes the sites and the key of a row without judging it, e.g. of a row that a resumed run keeps."""
        texts = chain.from_iterable(agent.domains or () for agent in row.agents)
        sites = {domain.key for domain in map(parse_domain, dict.fromkeys(texts)) if domain.site}
        self._index.add(row.workspace, sites, evidence.fingerprint)

    def prepare_overlaps(self) -> None:
        """Does the longest part of `add_overlaps`, about a second for a million domains. It may run in a thread."""
        self._index.prepare()

    def add_overlaps(self, row: Row) -> Row:
        """The row with what the rules find in its overlaps with others, in place of such findings that it had."""
        if row.state == "failed":
            return row
        rules = {rule.id for rule in self.rules if rule.scope == "overlap"}
        own = [
            finding
            for finding in row.findings
            if (finding.subject if finding.rule == RULE_FAILED.id else finding.rule) not in rules
        ]
        findings = in_order((*own, *judge_overlap(self._index.of(row.workspace), self.rules)))
        return row if findings == row.findings else evolve(row, findings=findings)
