"""Applies every rule to every subject of its scope in a workspace, and collects the findings.

If a rule raises, only its own findings on that subject are lost, and a finding names the rule.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from time import monotonic

from attrs import Factory, define, evolve, field

from ...wire.cleaning import clean
from ...wire.errors import ChatloomError
from ..values import SEVERITIES, DnsReading, DomainMatching, Finding, Row, Workspace, make_finding
from .overlap import OverlapIndex, site_digests
from .registry import RULE_FAILED, RULES
from .rule import Found, Rule
from .subjects import CheckedAgent, CheckedDomain, CheckedWorkspace, Evidence, HostRecord, Subject

MAX_FINDINGS = 1000
"""Findings of one rule for one workspace. One finding counts the rest, so that no workspace fills memory or report."""

MAX_RESULTS = 100_000
"""Results of one rule for one subject, after which the rule is considered endless."""

RULE_TIME = 60.0
"""Seconds that one rule may take for one workspace."""


@define
class Steps:
    """How many subjects the rules have seen so far."""

    count: int = 0


@define
class Subjects:
    """What the rules that judge a workspace by itself are called with."""

    checked: CheckedWorkspace

    def of(self, rule: Rule) -> Sequence[Subject]:
        """Empty if what the rule needs is not there."""
        if rule.needs == "dns" and not self.checked.dns:
            return ()
        if rule.needs == "expect" and self.checked.workspace.expect is None:
            return ()
        if rule.scope == "domain":
            return self._domains if rule.ordinary else self._unusual_domains
        if rule.scope == "agent":
            return self.checked.agents
        return (self.checked,)

    @cached_property
    def _domains(self) -> list[CheckedDomain]:
        return [
            CheckedDomain(domain, agent)
            for agent in self.checked.agents
            for domain in dict.fromkeys(agent.domains or ())
        ]

    @cached_property
    def _unusual_domains(self) -> list[CheckedDomain]:
        """Those that are not ordinary."""
        return [
            CheckedDomain(domain, agent)
            for agent in self.checked.agents
            for domain in dict.fromkeys(agent.unusual_domains)
        ]


@define
class Judging:
    """One workspace that is being judged, rule by rule.

    `subjects` gives what a rule is called with. `done` is the number of rules that were applied. Another thread may
    look at it, and at `steps`.
    """

    row: Row
    rules: tuple[Rule, ...]
    subjects: Callable[[Rule], Sequence[Subject]]
    findings: list[Finding] = Factory(list)
    done: int = 0
    steps: Steps = Factory(Steps)

    @property
    def is_done(self) -> bool:
        return self.done == len(self.rules)

    def run(self, until: Callable[[str], bool] = lambda _: False) -> None:
        """Applies the rules that are not done yet. Exceptions of rules become findings.

        `until` is called with the id of each rule, and stops before it."""
        if self.row.state == "failed":
            self.done = len(self.rules)
        for rule in self.rules[self.done :]:
            if until(rule.id):
                return
            if subjects := self.subjects(rule):
                self.findings += _apply(rule, subjects, self.row.workspace, self.steps)
            self.done += 1

    def without_current(self, reason: str) -> "Judging":
        """What is left to do without the rule that is running, which a finding names. Do not use this object
        afterwards."""
        problem = _failed(self.rules[self.done], reason, self.row.workspace)
        return Judging(self.row, self.rules, self.subjects, [*self.findings, problem], self.done + 1)


def judge(checked: CheckedWorkspace, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """What the rules find: most severe first, then by rule, agent and subject. Empty if nothing was read.

    The same input gives the same findings. An exception of a rule becomes a finding with the rule's severity.
    """
    judging = Judging(checked.row, _about_one(rules), Subjects(checked).of)
    judging.run()
    return in_order(judging.findings)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Most severe first. Findings with the same id become one, with all messages."""
    by_id: dict[str, Finding] = {}
    for finding in findings:
        first = by_id.setdefault(finding.id, finding)
        if finding.message not in first.message:
            by_id[finding.id] = evolve(first, message=f"{first.message} {finding.message}")
    return tuple(sorted(by_id.values(), key=_place))


def _place(finding: Finding) -> tuple[int, str, str, str]:
    return SEVERITIES.index(finding.severity), finding.rule, finding.agent_id or "", finding.subject


def _apply(rule: Rule, subjects: Sequence[Subject], workspace: str, steps: Steps) -> Iterator[Finding]:
    """What one rule finds. Most rules find nothing, so a subject without a result must be cheap."""
    problems = list[Exception]()
    count, until, check = 0, monotonic() + RULE_TIME, rule.check
    for number, subject in enumerate(subjects, 1):
        try:
            results = check(subject)
            if isinstance(results, str):
                raise TypeError("it returned a text, not several: yield it, or return a list")
            of_subject = count
            for result in results:
                count += 1
                if count - of_subject > MAX_RESULTS:
                    raise OverflowError(f"it finds more than {MAX_RESULTS:,} things in one {rule.scope}")
                if count <= MAX_FINDINGS:
                    yield _finding(rule, subject, result, workspace)
        except Exception as problem:  # a user's rule may raise anything
            problems.append(problem)
        steps.count += 1
        if monotonic() > until and number < len(subjects):
            problems.append(TimeoutError(f"it was stopped after {RULE_TIME:g} s and {number} of them"))
            break
    if count > MAX_FINDINGS:
        yield _left_out(rule, count - MAX_FINDINGS, workspace)
    if problems:
        first = problems[0]
        where = "" if isinstance(first, ChatloomError) else f" (defined at {clean(rule.place, 300)})"
        text = f"{type(first).__name__}: {clean(str(first), 500) or 'no message'}{where}"
        yield _failed(rule, f"failed on {len(problems)} of {len(subjects)} {rule.scope}s: {text}", workspace)


def _left_out(rule: Rule, count: int, workspace: str) -> Finding:
    text = f"{count:,} more findings of this rule are left out."
    return make_finding(workspace, rule.id, rule.severity, agent_id=None, subject="", message=text)


def _finding(rule: Rule, subject: Subject, result: str | Found, workspace: str) -> Finding:
    if isinstance(result, str):
        result = Found(result)
    elif not isinstance(result, Found):
        raise TypeError(f"it gave {type(result).__name__}, neither a text nor Found")
    agent_id, about = _identity(subject)
    return make_finding(
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


def _failed(rule: Rule, what: str, workspace: str) -> Finding:
    text = f"The rule {rule.id} {what}"
    return make_finding(workspace, RULE_FAILED.id, rule.severity, agent_id=None, subject=rule.id, message=text)


def _reading(dns: Mapping[str, HostRecord]) -> DnsReading:
    return DnsReading(
        len(dns), tuple((record.host, record.reason) for record in dns.values() if record.state == "unread")
    )


def _about_one(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that judge a workspace by itself."""
    return tuple(rule for rule in rules if rule.scope in ("domain", "agent", "workspace"))


def _rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rules)


def _now() -> datetime:
    return datetime.now(UTC)


@define
class Judge:
    """Adds findings to the rows of one audit. Use a new one for each run.

    `judge` adds what follows from a row alone. What a row has in common with others is known once all rows are
    judged or remembered: then `add_overlaps` adds it. The order of the rows does not matter.
    `rules` are those to apply, `clock` gives the present as an aware datetime, `matching` is
    what is known about the meaning of an allowed domain.
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
        judging = self.begin(row, workspace, evidence, dns)
        judging.run()
        return self.finish(judging, dns)

    def begin(
        self, row: Row, workspace: Workspace, evidence: Evidence, dns: Mapping[str, HostRecord] | None
    ) -> Judging:
        """The first part of `judge`: the rules are not applied yet. Like the others, it may run in a thread."""
        checked = CheckedWorkspace(workspace, row, self.clock(), evidence, dns or {}, self.matching)
        self._index.add(row.workspace, site_digests(row), evidence.fingerprint)
        return Judging(row, self._own_rules, Subjects(checked).of)

    def finish(self, judging: Judging, dns: Mapping[str, HostRecord] | None) -> Row:
        """The last part of `judge`."""
        row = judging.row
        reading = None if dns is None else _reading(dns)
        return evolve(row, findings=in_order((*row.findings, *judging.findings)), dns=reading)

    def remember(self, row: Row, evidence: Evidence = Evidence()) -> None:  # noqa: B008 - it is frozen
        """Notes the sites and the key of a row without judging it, e.g. of a row that a resumed run keeps."""
        self.remember_sites(row.workspace, site_digests(row), evidence.fingerprint)

    def remember_sites(self, workspace: str, sites: bytes, key: str | None) -> None:
        """The same for a row that the database has: `sites` and `key` are those of its `StoredWorkspace`."""
        self._index.add(workspace, sites, key)

    @cached_property
    def _own_rules(self) -> tuple[Rule, ...]:
        return _about_one(self.rules)

    @cached_property
    def _overlap_rules(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules if rule.scope == "overlap"}

    def prepare_overlaps(self) -> None:
        """Does the longest part of `add_overlaps`: for a million domains, some tenths of a second. It may run in a
        thread."""
        self._index.prepare()

    def shares(self, workspace: str) -> bool:
        """Whether `add_overlaps` has something to say about the workspace."""
        return self._index.shares(workspace)

    def without_overlaps(self, row: Row) -> Row:
        """The row without findings about its overlaps with others."""
        rules = self._overlap_rules
        own = tuple(
            finding
            for finding in row.findings
            if (finding.subject if finding.rule == RULE_FAILED.id else finding.rule) not in rules
        )
        return row if len(own) == len(row.findings) else evolve(row, findings=own)

    def add_overlaps(self, row: Row) -> Row:
        """The row with the current findings about its overlaps with others, in place of earlier ones."""
        judging = self.begin_overlaps(row)
        judging.run()
        return self.finish_overlaps(judging)

    def begin_overlaps(self, row: Row) -> Judging:
        """The first part of `add_overlaps`: no rules are left if nothing is shared. Like the others, it may run in a
        thread."""
        if row.state == "failed" or not self.shares(row.workspace):
            return Judging(row, (), lambda _: ())
        overlap = self._index.of(row.workspace, chain.from_iterable(agent.domains or () for agent in row.agents))
        return Judging(row, tuple(self._overlap_rules.values()), lambda _: (overlap,) if overlap else ())

    def finish_overlaps(self, judging: Judging) -> Row:
        """The last part of `add_overlaps`."""
        row = judging.row
        if row.state == "failed":
            return row
        own = self.without_overlaps(row)
        if not judging.findings:
            return own
        findings = in_order((*own.findings, *judging.findings))
        return row if findings == row.findings else evolve(row, findings=findings)
