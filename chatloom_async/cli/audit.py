"""`chatloom audit`: from a source of workspaces, through the audit, into a format."""

from pathlib import Path
from typing import Annotated, NoReturn

from attrs import frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from ..audit import runner
from ..audit.selection import select
from ..audit.summary import Summary
from ..audit.values import Workspace
from ..client import AsyncChatloom
from .access import BaseUrl, file_or_stdin
from .closing import advice, totals
from .dry_run import PLANS
from .report import Result, write_report
from .screen import FormatName, destination, gap, notice
from .source import Source, opened

WHICH, REPORT, RUN = (
    Group(name, sort_key=place) for place, name in enumerate(("Which workspaces", "Report", "Run"), 1)
)


@Parameter(name="*", group=WHICH)
@frozen
class Choice:
    """Filters; all of them must agree. One that leaves nothing is an error."""

    only: Annotated[
        tuple[str, ...], Parameter(metavar="GLOB", help="Names to audit, as a glob pattern; may be repeated.")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], Parameter(metavar="GLOB", help="Names to leave out, as a glob pattern; may be repeated.")
    ] = ()
    tag: Annotated[
        tuple[str, ...], Parameter(metavar="TAG", help="Audit those with this tag; may be repeated, any will do.")
    ] = ()
    inline_keys: Annotated[bool, Parameter(help="Accept a field `key` with the key itself.")] = False
    sandbox: Annotated[bool, Parameter(help="Audit the embedded sandbox, also if there is a key.")] = False


@Parameter(name="*", group=REPORT)
@frozen
class Report:
    """What the report looks like and where it goes."""

    format: Annotated[FormatName, Parameter(help="table, json (one document) or jsonl (one workspace a line).")] = (
        "table"
    )
    output: Annotated[
        Path | None, Parameter(show_default=False, help="Write the report to this file. Default: stdout.")
    ] = None


async def audit(
    workspaces: Annotated[
        Path | None,
        Parameter(
            help="TOML, JSON, CSV or NDJSON file; - is NDJSON on stdin.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None,
    /,
    *,
    choice: Choice = Choice(),
    report: Report = Report(),
    concurrency: Annotated[int, Parameter(group=RUN, help="Workspaces at once.", validator=Number(gte=1))] = 64,
    base_url: Annotated[BaseUrl, Parameter(group=RUN)] = None,
    dry_run: Annotated[bool, Parameter(group=RUN, help="List what would be audited, and send nothing.")] = False,
) -> int:
    """Audit every agent and allowed domain of many workspaces.

    Without WORKSPACES, the one workspace of CHATLOOM_API_KEY is audited; without that too, an embedded sandbox.

    A file lists workspaces with a name and a reference to their key, such as this TOML. In place of key_env
    there may be key_file or key_command; tags and expect are optional.

        [[workspaces]]
        name = "acme"
        key_env = "ACME_CHATLOOM_KEY"
        tags = ["eu"]

    Data goes to stdout, everything else to stderr. Exit status: 0 all audited, 2 wrong usage or configuration,
    3 some workspaces not fully audited, 4 none audited, 130 interrupted.
    """
    async with opened(workspaces, base_url=base_url, sandbox=choice.sandbox, inline_keys=choice.inline_keys) as source:
        chosen = select(source.workspaces, only=choice.only, exclude=choice.exclude, tags=choice.tag)
        with destination(report.output) as stream:
            if dry_run:
                stream.write(PLANS[report.format](chosen, stream))
                return 0
            async with AsyncChatloom(_no_key, base_url=source.base_url) as client:
                rows = runner.audit(chosen, client=client, concurrency=concurrency)
                result = await write_report(rows, report.format, stream, len(chosen))
    _close(result, source, chosen, workspaces, to_screen=report == Report())
    return _status(result.summary)


def _no_key(*, force_refresh: bool = False) -> NoReturn:
    raise RuntimeError("An audit has a key for each workspace, and none of its own")  # pragma: no cover


def _close(
    result: Result, source: Source, chosen: tuple[Workspace, ...], given: Path | None, *, to_screen: bool
) -> None:
    summary = result.summary
    style = "green" if summary.ok == len(chosen) else "yellow" if summary.ok or summary.partial else "red"
    gap()
    notice(totals(summary, len(chosen), result.elapsed), style)
    if next_step := advice(source.kind, given, result.failing, to_screen=to_screen):
        notice(f"next: {next_step}", "dim", command=True)


def _status(summary: Summary) -> int:
    """130 interrupted, 4 none audited, 3 some not fully, 0 all."""
    if summary.interrupted:
        return 130
    if summary.failed == summary.workspaces:
        return 4
    return 3 if summary.failed or summary.partial else 0
