"""`chatloom runs`: the audits that a database holds, as a table or a JSON document."""

from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import attrs
from cyclopts import Parameter

from ..audit.document import json_text
from ..audit.formats.text import cell, columns, rendered
from ..audit.store import RunInfo, RunState, open_store
from .files import OutputPath, check_outputs, database_files, open_output
from .terminal import notice, shell_command, terminal_style

STYLES: dict[RunState, str] = {"finished": "green", "running": "cyan", "interrupted": "yellow"}
NUMBERS = ("planned", "ok", "partial", "failed", "pending", "error", "warning", "info")
LEFT = ("pending", "failed")
WIDE = 92
"""Narrower terminals do without the time that a run took and its numbers of partial and pending workspaces."""

Db = Annotated[Path, Parameter(metavar="PATH", help="File that `chatloom audit --db PATH` wrote.")]


async def runs(
    *,
    db: Db,
    form: Annotated[
        Literal["table", "json"], Parameter(name="--format", help="table, or json (one document).")
    ] = "table",
    output: OutputPath = None,
) -> int:
    """List the audits that a database holds.

    The newest is last. Also works while an audit is writing; one that was killed is interrupted. Of the last run,
    --resume reads what is pending or failed.

    Example: chatloom runs --db audits.db
    """
    check_outputs([("--output", output)], database_files(db))
    async with open_store(db, write=False) as store:
        found = await store.runs()
    with open_output(output, content="locale" if form == "table" else "json") as file:
        file.write(_table(found, file.stream) if form == "table" else _json(found))
    if form == "table" and (next_step := _next(found, db)):
        notice(f"next: {next_step}", "bold", command=True)
    return 0


def _next(found: list[RunInfo], db: Path) -> str | None:
    last = found[-1] if found else None
    if last and last.resumable:
        left = " and ".join(f"{count:,} {name}" for name in LEFT if (count := getattr(last, name)))
        return f"run {last.id} has {left or 'nothing'} left: add --resume to the command that began it"
    return shell_command("diff", "--db", str(db)) if len(found) > 1 else None


def _table(found: list[RunInfo], stream: TextIO) -> str:
    style = terminal_style(stream)
    wide = style.width is None or style.width >= WIDE
    numbers = [each for each in NUMBERS if wide or each not in ("partial", "pending")]
    table = columns(">run", "started (UTC)", *([">took"] * wide), "state", *(f">{each}" for each in numbers))
    for each in found:
        took = [cell(_took(each))] * wide
        counts = (cell(f"{getattr(each, name):,}") for name in numbers)
        state = cell(each.state, STYLES[each.state])
        table.add_row(cell(str(each.id)), cell(f"{each.started:%Y-%m-%d %H:%M}"), *took, state, *counts)
    return rendered([table], width=style.width, color=style.color)


def _took(run: RunInfo) -> str:
    """Minutes and seconds, without the pauses of an audit that was resumed."""
    if run.finished is None:
        return "-"
    minutes, seconds = divmod(round(max(0.0, (run.finished - run.started).total_seconds() - run.paused)), 60)
    return f"{minutes}:{seconds:02}"


def _json(found: list[RunInfo]) -> str:
    return json_text({"runs": [_document(each) for each in found]}, indent=True) + "\n"


def _document(run: RunInfo) -> dict[str, Any]:
    moments = {"started": run.started.isoformat(), "finished": run.finished and run.finished.isoformat()}
    return {
        **attrs.asdict(run),
        **moments,
        "rules": list(run.rules),
        "pending": run.pending,
    }
