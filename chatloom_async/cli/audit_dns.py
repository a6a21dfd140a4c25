"""The DNS for `chatloom audit`: which rules may ask it, and which resolver is asked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ..audit.dns import Resolver
from ..audit.rules import Rule, select_rules
from ..sandbox.dns import serving_dns
from .audit_inputs import Kind
from .options import FindingOptions
from .terminal import CommandLineError

HINT = "Add --dns."


def applied_rules(chosen: Sequence[Rule], finding: FindingOptions) -> tuple[Rule, ...]:
    """The chosen rules, without those that need the DNS if it is not asked.

    Raises CommandLineError if a pattern of --rule chose only such rules, or for --resolver without --dns.
    """
    if finding.dns:
        return tuple(chosen)
    if finding.resolver is not None:
        raise CommandLineError("--resolver names a DNS resolver, but nothing is looked up without --dns", hint=HINT)
    for pattern in finding.rule:
        if all(rule.needs == "dns" for rule in select_rules(chosen, [pattern])):
            raise CommandLineError(f"--rule {pattern}: nothing is looked up in the DNS without --dns", hint=HINT)
    return tuple(rule for rule in chosen if rule.needs != "dns")


@asynccontextmanager
async def open_resolver(rules: Sequence[Rule], resolver: str | None, kind: Kind) -> AsyncIterator[Resolver | None]:
    """The resolver to ask; None if no rule needs it. The embedded sandbox comes with one of its own.

    Raises InvalidResolverError, and MissingExtraError without the extra [dns].
    """
    if all(rule.needs != "dns" for rule in rules):
        yield None
    elif kind == "sandbox" and resolver is None:
        async with serving_dns() as address:
            yield Resolver(address)
    else:
        yield Resolver(resolver)
