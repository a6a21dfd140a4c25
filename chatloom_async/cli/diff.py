"""`chatloom diff`: what changed between two audits of a database, as a table, JSON or Markdown."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Literal, TextIO

from cyclopts import Parameter

from ..audit.diff import Diff, diff_runs, json_diff, markdown_diff, table_diff
from ..audit.store import NoSuchRunError, Store, open_store
from .files import OutputPath, check_outputs, database_files, open_output
from .runs import Db
from .terminal import CommandLineError, Content, terminal_style

DiffFormat = Literal["table", "json", "markdown"]


RUNS_HINT = "`chatloom runs --db PATH` lists the runs; every `chatloom audit --db PATH` adds one."


async def diff(
    old: Annotated[
        int | None, Parameter(help="Number of the earlier run; alone: the run to compare with the one before it.")
    ] = None,
    new: Annotated[int | None, Parameter(help="Number of the later run. Default: the last one.")] = None,
    /,
    *,
    db: Db,
    form: Annotated[
        DiffFormat, Parameter(name="--format", help="table, json (one document) or markdown (for a pull request).")
    ] = "table",
    output: OutputPath = None,
) -> int:
    """Show what changed from one audit to another.

    Workspaces, agents, domains, findings and keys that came, went or became other. What a run could not read is
    unknown, and nothing is concluded from it.

    Example: chatloom diff --db audits.db --format markdown
    """
    check_outputs([("--output", output)], database_files(db))
    async with open_store(db, write=False) as store:
        before, after = await _chosen(store, old, new)
        infos = await store.run_info(before), await store.run_info(after)
        found = await diff_runs(*infos, store.workspaces(before), store.workspaces(after))
    with open_output(output, content=CONTENT[form]) as file:
        for piece in WRITERS[form](found, file.stream):
            file.write(piece)
    return 0


async def _chosen(store: Store, old: int | None, new: int | None) -> tuple[int, int]:
    ids = [each.id for each in await store.runs()]
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


def _table(found: Diff, stream: TextIO) -> Iterator[str]:
    style = terminal_style(stream)
    return table_diff(found, width=style.width, color=style.color)


CONTENT: dict[DiffFormat, Content] = {"table": "locale", "json": "json", "markdown": "utf-8"}


WRITERS: dict[DiffFormat, Callable[[Diff, TextIO], Iterator[str]]] = {
    "table": _table,
    "json": lambda found, _: json_diff(found),
    "markdown": lambda found, _: markdown_diff(found),
}
