"""`chatloom runs` lists the audits that a database holds, and `chatloom diff` compares two of them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import attrs
from cyclopts import Parameter

from ..audit.diff import Diff, diff_runs, json_diff, markdown_diff, table_diff
from ..audit.formats.layout import Columns, cell
from ..audit.store import NoSuchRunError, RunInfo, RunState, Store, open_store
from ..wire.encode import json_text
from .files import check_outputs, open_output
from .options import Db, OutputPath, TableOrJson
from .terminal import CommandLineError, Content, notice, shell_command, terminal_style

STYLES: dict[RunState, str] = {"finished": "green", "running": "cyan", "interrupted": "yellow"}
NUMBERS = ("planned", "ok", "partial", "failed", "pending", "error", "warning", "info")
LEFT = ("pending", "failed")
WIDE = 92  # narrower terminals do not show the duration and the numbers of partial and pending workspaces


async def runs(
    *,
    db: Db,
    form: TableOrJson = "table",
    output: OutputPath = None,
) -> int:
    """List the audits that a database holds.

    The newest is last. This works while an audit is writing, too. A run whose process was killed counts as interrupted.
    `chatloom audit --resume` continues the last run: it reads what is pending or failed.

    Examples:
        $ chatloom runs --db audits.db
    """
    check_outputs([("--output", output)], [], db=db)
    async with open_store(db, write=False) as store:
        infos = await store.runs()
    with open_output(output, content="locale" if form == "table" else "json") as file:
        file.write(_runs_table(infos, file.stream) if form == "table" else _runs_json(infos))
    if form == "table" and (next_step := _next(infos, db)):
        notice(f"next: {next_step}", "bold", command=True)
    return 0


def _next(infos: list[RunInfo], db: Path) -> str | None:
    """The next command, if there is something to do."""
    last = infos[-1] if infos else None
    if last and last.resumable:
        left = " and ".join(f"{count:,} {name}" for name in LEFT if (count := getattr(last, name)))
        resume = "add --resume to the command that began it"
        return f"run {last.id} has {left} left: {resume}" if left else f"to write the report of run {last.id}, {resume}"
    return shell_command("diff", "--db", str(db)) if len(infos) > 1 else None


def _runs_table(infos: list[RunInfo], stream: TextIO) -> str:
    style = terminal_style(stream)
    wide = style.width is None or style.width >= WIDE
    numbers = [name for name in NUMBERS if wide or name not in ("partial", "pending")]
    headings = (">run", "started (UTC)", *([">took"] * wide), "state", *(f">{name}" for name in numbers))
    rows = []
    for info in infos:
        took = [cell(_took(info))] * wide
        counts = (cell(f"{getattr(info, name):,}") for name in numbers)
        state = cell(info.state, STYLES[info.state])
        rows.append((cell(str(info.id)), cell(f"{info.started:%Y-%m-%d %H:%M}"), *took, state, *counts))
    return Columns(headings, style.width, style.color).table(rows)


def _took(run: RunInfo) -> str:
    """Minutes and seconds, without the pauses of an audit that was resumed."""
    if run.finished is None:
        return "-"
    minutes, seconds = divmod(round(max(0.0, (run.finished - run.started).total_seconds() - run.paused)), 60)
    return f"{minutes}:{seconds:02}"


def _runs_json(infos: list[RunInfo]) -> str:
    documents: list[dict[str, Any]] = [
        {
            **attrs.asdict(info),
            "started": info.started.isoformat(),
            "finished": info.finished and info.finished.isoformat(),
            "rules": list(info.rules),
            "pending": info.pending,
        }
        for info in infos
    ]
    return json_text({"runs": documents}, indent=True) + "\n"


DiffFormat = Literal["table", "json", "markdown"]
RUNS_HINT = "`chatloom runs --db PATH` lists the runs; every `chatloom audit --db PATH` adds one."


async def diff(
    old: Annotated[
        int | None, Parameter(help="Number of the earlier run. Without NEW: the run to compare with the one before it.")
    ] = None,
    new: Annotated[int | None, Parameter(help="Number of the later run. Default: the last one.")] = None,
    /,
    *,
    db: Db,
    form: Annotated[
        DiffFormat, Parameter(name="--format", metavar="FORMAT", help="table, json, or markdown (for a pull request).")
    ] = "table",
    output: OutputPath = None,
) -> int:
    """Show what changed from one audit to another.

    The result lists workspaces, agents, domains, findings and keys that were added, removed or changed. What one of the
    runs could not read is not compared: a finding that only the earlier run looked for is no longer checked, not fixed.
    Without OLD and NEW, the last run is compared with the one before it.

    Examples:
        $ chatloom diff --db audits.db
        $ chatloom diff --db audits.db 1 2 --format markdown -o changes.md
    """
    check_outputs([("--output", output)], [], db=db)
    async with open_store(db, write=False) as store:
        before, after = await _chosen(store, old, new)
        infos = await store.run_info(before), await store.run_info(after)
        changes = await diff_runs(*infos, store.workspaces(before), store.workspaces(after))
    with open_output(output, content=CONTENT[form]) as file:
        for piece in WRITERS[form](changes, file.stream):
            file.write(piece)
    return 0


async def _chosen(store: Store, old: int | None, new: int | None) -> tuple[int, int]:
    ids = [info.id for info in await store.runs()]
    if old is not None and new is None:
        return (await store.run_before(old)).id, old
    if old is None and new is None and len(ids) > 1:
        with suppress(NoSuchRunError):  # if no other run is of the same workspaces, the last two are compared
            return (await store.run_before(ids[-1])).id, ids[-1]
        return ids[-2], ids[-1]
    if old is None or new is None:
        raise CommandLineError(
            f"{store.path}: it takes two runs to compare, and there {'is one' if ids else 'are none'}", hint=RUNS_HINT
        )
    return old, new


def _diff_table(changes: Diff, stream: TextIO) -> Iterator[str]:
    style = terminal_style(stream)
    return table_diff(changes, width=style.width, color=style.color)


CONTENT: dict[DiffFormat, Content] = {"table": "locale", "json": "json", "markdown": "utf-8"}
WRITERS: dict[DiffFormat, Callable[[Diff, TextIO], Iterator[str]]] = {
    "table": _diff_table,
    "json": lambda changes, _: json_diff(changes),
    "markdown": lambda changes, _: markdown_diff(changes),
}
