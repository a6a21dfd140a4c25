"""`chatloom rules` lists the rules of an audit. Also: which of them are applied, and which resolver they may ask."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, TextIO

from cyclopts import Parameter

from ..audit.dns import Resolver
from ..audit.formats.layout import EMPTY, STYLES, Columns, cell
from ..audit.rules import Rule, choose_rules, select_rules
from ..audit.rules.rule import Need
from ..wire.encode import json_text
from .files import check_outputs, open_output
from .options import FindingOptions, OutputPath, RuleFiles, RuleGlobs, TableOrJson
from .sources import Kind
from .terminal import CommandLineError, terminal_style


async def rules(
    *,
    rule: RuleGlobs = (),
    files: Annotated[RuleFiles, Parameter(name="--rules")] = (),
    form: TableOrJson = "table",
    output: OutputPath = None,
) -> int:
    """List the rules that an audit applies, and why.

    The list holds the rules of this package, of installed packages that provide some, and of the files of --rules.

    Examples:
        $ chatloom rules
        $ chatloom rules --rule 'domain-*' --format json | jq -r '.rules[].id'
    """
    chosen, _ = choose_rules(rule, files)
    check_outputs([("--output", output)], [("a file of --rules", path) for path in files])
    with open_output(output, content="locale" if form == "table" else "json") as file:
        file.write(WRITERS[form](chosen, file.stream))
    return 0


def _table(chosen: Sequence[Rule], stream: TextIO) -> str:
    style, rows = terminal_style(stream), []
    for rule in chosen:
        rows.append((cell(rule.id), cell(rule.severity, STYLES[rule.severity]), cell(f"Why: {rule.why}")))
        rows.append((EMPTY, EMPTY, cell(f"Fix: {rule.fix}", "cyan")))
        if rule.needs:
            rows.append((EMPTY, EMPTY, cell(f"Needs: {NEEDS[rule.needs]}", "dim")))
    return Columns(("rule", "severity", "why it matters, and what to do"), style.width, style.color).table(rows)


def _json(chosen: Sequence[Rule], _: TextIO) -> str:
    names = ("id", "severity", "scope", "needs", "why", "fix")
    return json_text({"rules": [{name: getattr(rule, name) for name in names} for rule in chosen]}, indent=True) + "\n"


NEEDS: dict[Need, str] = {"dns": "--dns", "expect": "`expect` in the list of workspaces"}
WRITERS: dict[str, Callable[[Sequence[Rule], TextIO], str]] = {"table": _table, "json": _json}
DNS_HINT = "Add --dns."


def applied_rules(chosen: Sequence[Rule], finding: FindingOptions) -> tuple[Rule, ...]:
    """The chosen rules, without those that need the DNS if it is not asked.

    Raises CommandLineError if a pattern of --rule chose only such rules, or for --resolver without --dns.
    """
    if finding.dns:
        return tuple(chosen)
    if finding.resolver is not None:
        raise CommandLineError("--resolver names a DNS resolver, but nothing is looked up without --dns", hint=DNS_HINT)
    for pattern in finding.rule:
        if all(rule.needs == "dns" for rule in select_rules(chosen, [pattern])):
            raise CommandLineError(f"--rule {pattern}: nothing is looked up in the DNS without --dns", hint=DNS_HINT)
    return tuple(rule for rule in chosen if rule.needs != "dns")


@asynccontextmanager
async def open_resolver(rules: Sequence[Rule], resolver: str | None, kind: Kind) -> AsyncIterator[Resolver | None]:
    """The resolver to ask; None if no rule needs it. The embedded sandbox comes with one of its own.

    Raises InvalidResolverError, and MissingExtraError without the extra [dns].
    """
    if all(rule.needs != "dns" for rule in rules):
        yield None
    elif kind == "sandbox" and resolver is None:
        from ..sandbox.dns import serving_dns  # not for an audit of a file

        async with serving_dns() as address:
            yield Resolver(address)
    else:
        yield Resolver(resolver)
