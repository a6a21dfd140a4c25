"""`chatloom audit`: its options and its help. What it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .options import FindingOptions, HistoryOptions, ReportOptions, RunOptions, Selection, file_or_stdin


async def audit(
    workspaces: Annotated[
        Path | None,
        Parameter(
            help="The list of workspaces: a TOML, JSON, CSV or NDJSON file; - is NDJSON on stdin.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None,
    /,
    *,
    report: ReportOptions = ReportOptions(),
    finding: FindingOptions = FindingOptions(),
    history: HistoryOptions = HistoryOptions(),
    selection: Selection = Selection(),
    run: RunOptions = RunOptions(),
) -> int:
    """Audit every agent and allowed domain of many workspaces.

    Without WORKSPACES, the workspace of CHATLOOM_API_KEY is audited. Without that key, an embedded sandbox is audited.
    The report goes to stdout, messages go to stderr.

    List of workspaces:
        Each entry has a name and says where its key is: key_env names an environment variable, key_json a member of a
        JSON object in one (KEYS#acme), key_file a file (relative to the list), and key_command a program, which is run
        without a shell. The fields tags and expect are optional. expect lists the domains that should be allowed, as
        names or as globs such as *.acme.example. As TOML:

            [[workspaces]]
            name = "acme"
            key_env = "ACME_CHATLOOM_KEY"
            tags = ["eu"]
            expect = ["acme.example"]

        A CSV file has these fields as columns. Several tags or domains in a cell are separated by blanks, commas or
        semicolons. A column that is nearly named like a field is an error. Other columns are ignored.

    Accepted findings:
        The file of --mutes accepts findings, each for a reason and until a day. Instead of a rule, an entry may name
        the id of a finding. The fields workspace and subject are optional glob patterns.

            [[mutes]]
            rule = "domain-wildcard"
            workspace = "acme*"
            subject = "*.acme.example"
            reason = "Until the new shop is live"
            until = 2026-12-31

    Ctrl-C:
        Requests in flight are finished, and the report is complete. With --db, add --resume to continue later.

    Exit status:
        0  no finding reaches --fail-on
        1  findings at or above --fail-on
        2  wrong usage or configuration
        3  some workspaces could not be audited completely
        4  no workspace could be audited, or a report or the database could not be written
        130 interrupted by Ctrl-C, 129 by SIGHUP, 143 by SIGTERM

    Examples:
        $ chatloom audit
        $ chatloom audit workspaces.toml --html report.html
        $ chatloom audit workspaces.toml --only 'acme*' --format json | jq .summary
        $ chatloom audit workspaces.toml --db audits.db
        $ chatloom audit workspaces.toml --db audits.db --baseline last --fail-on warning
    """
    from .auditing import run_audit

    return await run_audit(workspaces, selection=selection, finding=finding, report=report, history=history, run=run)
