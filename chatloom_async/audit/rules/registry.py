"""The table of the rules that come with this package, and the choice among rules by their ids."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from . import agents, contract, domains, lists, lookalikes, resolution
from .rule import Rule, RuleError

AGENT_GONE: Final = Rule(
    "agent-gone",
    "info",
    why="The agent was deleted while the audit ran, so that its domains are not part of it.",
    fix="Nothing, if the deletion was intended.",
    scope="audit",
    check=lambda _: (),
)
MUTE_EXPIRED: Final = Rule(
    "mute-expired",
    "warning",
    why="The muted finding still exists, and the mute has expired.",
    fix="Correct the finding's cause, or give the mute a new date and reason.",
    scope="audit",
    check=lambda _: (),
)
RULE_FAILED: Final = Rule(
    "rule-failed",
    "error",  # a finding has the severity of the rule that failed
    why="A rule could not be applied, so its findings are missing from this report.",
    fix="Correct the rule, or install its dependencies, and run the audit again.",
    scope="audit",
    check=lambda _: (),
)
RULES: Final[tuple[Rule, ...]] = (
    domains.domain_wildcard,
    domains.domain_local,
    domains.domain_malformed,
    domains.domain_public_suffix,
    domains.domain_unexpected,
    lists.domain_missing,
    resolution.domain_unregistered,
    resolution.domain_dangling,
    resolution.domain_unresolved,
    resolution.domain_private_address,
    domains.domain_ip,
    domains.domain_punycode,
    lookalikes.domain_lookalike,
    lists.domains_empty,
    agents.agent_status,
    agents.agent_name_blank,
    agents.agent_name_duplicate,
    agents.agent_color_invalid,
    agents.agent_created_in_future,
    lists.key_duplicate,
    lists.domain_duplicate,
    lists.domain_shared,
    agents.agent_color_contrast,
    agents.agent_position_unknown,
    contract.contract_count,
    contract.contract_order,
    contract.contract_unknown_field,
    AGENT_GONE,
    MUTE_EXPIRED,
    RULE_FAILED,
)


class UnknownRuleError(RuleError):
    """A choice of rules matches none. Nothing was sent."""

    hint = "Choose by id or glob pattern, such as domain-wildcard or 'agent-*'."


def select_rules(rules: Iterable[Rule], patterns: Iterable[str]) -> tuple[Rule, ...]:
    """The rules whose ids match one of the patterns, in their order; no patterns choose all.

    Raises UnknownRuleError for a pattern that matches none, with the ids that resemble it.
    """
    rules, patterns = tuple(rules), tuple(patterns)
    ids = [each.id for each in rules]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ids):
            raise UnknownRuleError(no_rule(pattern, ids))
    return tuple(each for each in rules if not patterns or any(fnmatchcase(each.id, one) for one in patterns))


def no_rule(name: str, ids: Collection[str]) -> str:
    """The sentence for a name that is no rule's, with the ids that resemble it, or else all of them."""
    near = get_close_matches(name, ids, n=3) or sorted(ids)
    return f"No rule is called {name!r}. " + (
        f"The rules are {', '.join(near)}" if len(near) == len(ids) else f"Similar: {', '.join(near)}"
    )


def joined(*groups: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules of all groups, in their order. Raises RuleError if two different ones have the same id."""
    found: dict[str, Rule] = {}
    for each in (rule for group in groups for rule in group):
        if found.setdefault(each.id, each) is not each:
            taken = found[each.id].place
            raise RuleError(f"The rule id {each.id} at {each.place} is already taken by {taken}: choose another one")
    return tuple(found.values())
