"""`chatloom rules`: what an audit looks for, why, and what to do about it, as a table or a JSON document."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter

from ..audit.document import json_text
from ..audit.formats.text import STYLES, cell, columns, rendered
from ..audit.rules import Rule, choose_rules
from ..audit.rules.rule import Need
from .files import OutputPath, check_outputs, open_output
from .options import RuleFiles, RuleGlobs
from .terminal import terminal_style


async def rules(
    *,
    rule: RuleGlobs = (),
    files: Annotated[RuleFiles, Parameter(name="--rules")] = (),
    form: Annotated[
        Literal["table", "json"], Parameter(name="--format", help="table, or json (one document).")
    ] = "table",
    output: OutputPath = None,
) -> int:
    """List the rules that an audit applies, and why.

    Those of this package, of installed packages that announce some, and of the files that --rules names.

    Example: chatloom rules --rule 'domain-*'
    """
    chosen, _ = choose_rules(rule, files)
    check_outputs([("--output", output)], [("a file of --rules", path) for path in files])
    with open_output(output, content="locale" if form == "table" else "json") as file:
        file.write(WRITERS[form](chosen, file.stream))
    return 0


def _table(chosen: Sequence[Rule], stream: TextIO) -> str:
    style = terminal_style(stream)
    table = columns("rule", "severity", "why it matters, and what to do")
    for each in chosen:
        table.add_row(cell(each.id), cell(each.severity, STYLES[each.severity]), cell(f"Why: {each.why}"))
        table.add_row("", "", cell(f"Fix: {each.fix}", "cyan"))
        if each.needs:
            table.add_row("", "", cell(f"Needs: {NEEDS[each.needs]}", "dim"))
    return rendered([table], width=style.width, color=style.color)


def _json(chosen: Sequence[Rule], _: TextIO) -> str:
    names = ("id", "severity", "scope", "needs", "why", "fix")
    return json_text({"rules": [{name: getattr(each, name) for name in names} for each in chosen]}, indent=True) + "\n"


NEEDS: dict[Need, str] = {"dns": "--dns", "expect": "`expect` in the list of workspaces"}
WRITERS: dict[str, Callable[[Sequence[Rule], TextIO], str]] = {"table": _table, "json": _json}
