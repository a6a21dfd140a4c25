"""The audit's rules: what is worth knowing about a workspace, how grave it is, why, and what to do about it.

A rule is a pure function under the decorator `rule`; it never asks the API, and never changes a row.
"""

from .judging import Judge, judge
from .registry import (
    RULES,
    RulesFileError,
    UnknownRuleError,
    choose_rules,
    installed_rules,
    joined,
    load_rules,
    select_rules,
)
from .rule import Found, Rule, RuleError, rule
from .subjects import CheckedAgent, CheckedDomain, CheckedOverlap, CheckedWorkspace, Evidence, OtherWorkspaces

# fmt: off
__all__ = [
    "RULES", "CheckedAgent", "CheckedDomain", "CheckedOverlap", "CheckedWorkspace", "Evidence", "Found", "Judge",
    "OtherWorkspaces", "Rule", "RuleError", "RulesFileError", "UnknownRuleError", "choose_rules", "installed_rules",
    "joined", "judge", "load_rules", "rule", "select_rules",
]
# fmt: on
