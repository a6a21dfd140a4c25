"""A rule: its id, severity, reason and advice, and the function that checks.

The function is pure: the same subject gives the same texts, and it does no I/O and keeps no state.

    from chatloom_async.audit.rules import CheckedAgent, rule

    @rule("agent-not-modern", severity="info", why="The old templates go away.", fix="Choose the modern template.")
    def not_modern(checked: CheckedAgent) -> Iterable[str]:
        if checked.agent.template != "modern":
            yield f"The template is {checked.agent.template}."
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from attrs import field, frozen

from ...wire.errors import ConfigurationError
from ..values import Severity
from .subjects import CheckedAgent, CheckedDomain, CheckedOverlap, CheckedWorkspace

Need = Literal["dns", "expect"]
Scope = Literal["domain", "agent", "workspace", "overlap", "audit"]
SCOPES: dict[Any, Scope] = {
    CheckedDomain: "domain",
    CheckedAgent: "agent",
    CheckedWorkspace: "workspace",
    CheckedOverlap: "overlap",
}
NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

S = TypeVar("S", CheckedDomain, CheckedAgent, CheckedWorkspace, CheckedOverlap)


class RuleError(ConfigurationError):
    """A rule cannot be used as it is written, found or chosen. Nothing was sent."""

    hint = "See the documentation of chatloom_async.audit.rules for what a rule looks like."


@frozen
class Found:
    """A message of a rule, with the subject or the agent that it is about.

    `subject` takes part in the finding's id, so it should be the same in every run; None: that of what was checked.
    `agent_id` is for rules of a whole workspace.
    """

    message: str
    subject: str | None = None
    agent_id: str | None = None


Check = Callable[[Any], Iterable[str | Found]]


@frozen
class Rule:
    """One rule. `why` and `fix` are for people, one or two sentences each.

    `scope` says what `check` is called with. "audit": the audit itself finds it while it reads, `check` finds nothing.
    `needs` names what the rule judges by in addition to the API's answers: "dns", or the "expect" of the workspace.
    Without it, the rule finds nothing; if it has changed, a finding that is gone is not fixed. A rule that is not for
    `ordinary` domains is not called with those that are.
    """

    id: str
    severity: Severity
    why: str
    fix: str
    scope: Scope
    check: Check = field(repr=False)
    needs: Need | None = None
    ordinary: bool = True

    def __call__(self, subject: Any) -> Iterable[str | Found]:
        return self.check(subject)

    @property
    def place(self) -> str:
        """File and line of the function."""
        code = getattr(self.check, "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(self.check)


def rule(
    name: str, /, *, severity: Severity, why: str, fix: str, needs: Need | None = None, ordinary: bool = True
) -> Callable[[Callable[[S], Iterable[str | Found]]], Rule]:
    """Makes a rule of a function that yields a text for each thing it finds, or a `Found`.

    What it is called with follows from the annotation of its first parameter: `CheckedDomain`, `CheckedAgent`,
    `CheckedWorkspace` or, once all workspaces are read, `CheckedOverlap`. Texts about one subject become one finding.
    `needs="dns"` is for rules that look at `CheckedDomain.record`, `needs="expect"` for those that look at
    `CheckedWorkspace.expected`. `ordinary=False` is for rules that find nothing about a domain that is
    `Domain.ordinary`, as most are: it saves calling them. Raises RuleError.
    """
    if not NAME.fullmatch(name):
        raise RuleError(f"{name!r} is not a valid rule id: use a-z, digits and hyphens, such as agent-status")
    if severity not in get_args(Severity):
        raise RuleError(f"{name}: the severity is one of {', '.join(get_args(Severity))}, not {severity!r}")
    if not why.strip() or not fix.strip():
        raise RuleError(f"{name}: why and fix are for those who read the report, and may not be blank")

    def made(check: Callable[[S], Iterable[str | Found]]) -> Rule:
        scope = _scope(name, check)
        if scope != "domain" and not ordinary:
            raise RuleError(f"{name}: ordinary=False is for rules that are called with a CheckedDomain")
        return Rule(name, severity, why, fix, scope, check, needs, ordinary)

    return made


def _scope(name: str, check: Check) -> Scope:
    try:
        hints = get_type_hints(check)
    except (NameError, TypeError, AttributeError) as problem:
        reason = f"its annotations cannot be read: {problem}"
    else:
        scope = SCOPES.get(next(iter(hints.values()), None))
        if scope is not None and next(iter(hints)) != "return":
            return scope
        reason = f"annotate its first parameter with one of {', '.join(kind.__name__ for kind in SCOPES)}"
    raise RuleError(f"{name}: {reason}")
