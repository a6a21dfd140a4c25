"""`chatloom doctor`: whether calls work from here, and if not, at which step they fail."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TextIO

import attrs
from attrs import frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from ..audit.document import json_text
from ..audit.formats.layout import Columns, cell
from ..audit.keys import KeyEnv, KeyFile
from ..diagnosis import Journal, Observation, Setup, examine
from ..diagnosis.journal import markdown
from ..diagnosis.local import GivenKey, KeyReference
from .files import check_outputs, open_output
from .options import FROM_ENVIRONMENT, KEY_VARIABLE, STDIN, Access, key_from_stdin
from .terminal import CommandLineError, blank_line, notice, terminal_style


@Parameter(name="*")
@frozen
class DoctorOptions:
    """The scope and the output of an examination."""

    contract: Annotated[bool, Parameter(help="Also check whether the API does what its documentation says.")] = False
    report: Annotated[
        Path | None,
        Parameter(
            metavar="FILE", help="Write requests and responses, without keys, to this Markdown file for the support."
        ),
    ] = None
    json: Annotated[bool, Parameter(help="Print one JSON document instead of lines.")] = False
    sandbox: Annotated[bool, Parameter(help="Check an embedded sandbox instead of the API.")] = False
    time_limit: Annotated[
        float, Parameter(metavar="SECONDS", help="Time limit for all steps together.", validator=Number(gt=0))
    ] = 30.0


async def doctor(*, options: DoctorOptions = DoctorOptions(), access: Access = FROM_ENVIRONMENT) -> int:
    """Check, step by step, whether calls to the API work from here.

    Each step is marked: ✓ is in order, ! is unusual, ✗ has to be put right. The next step is below it. The key is never
    shown.

    Exit status:
        0  a call works
        1  something is wrong
        2  wrong usage

    Examples:
        $ chatloom doctor
        $ chatloom doctor --contract --report report.md
    """
    if options.report:
        check_outputs([("--report", options.report)], access.files())
    observations: list[Observation] = []
    journal = Journal()
    with open_output(options.report, "--report", content="utf-8") if options.report else nullcontext() as file:
        async with _setup(options, access) as setup:
            async for each in examine(setup, journal):
                observations.append(each)
                if not options.json:
                    _print(observations)
        if file:
            file.write(markdown(observations, journal.entries, setup.versions, datetime.now(UTC)))
    works = not any(each.state == "wrong" for each in observations)
    if options.json:
        document = {"schema_version": 1, "works": works, "checks": [attrs.asdict(each) for each in observations]}
        sys.stdout.write(json_text(document, indent=True) + "\n")
    _close(observations, options)
    return 0 if works else 1


def _print(observations: Sequence[Observation]) -> None:
    """The last one, at once; a blank line sets the contract off."""
    *before, last = observations
    gap_before = "\n" if before and before[-1].chapter != last.chapter else ""
    print(gap_before + line(last, sys.stdout), end="", flush=True)


@asynccontextmanager
async def _setup(options: DoctorOptions, access: Access) -> AsyncIterator[Setup]:
    """What is to be examined; the embedded sandbox serves as long as the context is open."""
    if not options.sandbox:
        key = _reference(access.key_file)
        yield Setup(key=key, base_url=access.base_url, contract=options.contract, time_limit=options.time_limit)
        return
    if access != FROM_ENVIRONMENT:
        raise CommandLineError(
            "--sandbox brings its own key and address: leave out --key-file and --base-url",
            hint="See `chatloom doctor --help`.",
        )
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=7, trouble=0)
    key = GivenKey("the embedded sandbox", sandbox.add_workspace("acorn").key)
    async with sandbox.serve() as url:
        yield Setup(
            key=key,
            base_url=url,
            base_url_from="the embedded sandbox",
            contract=options.contract,
            time_limit=options.time_limit,
        )


def _reference(path: Path | None) -> KeyReference:
    if path is None:
        return KeyEnv(KEY_VARIABLE)
    if path == STDIN:
        return GivenKey("standard input", key_from_stdin())
    return KeyFile(path)


def _close(observations: Sequence[Observation], options: DoctorOptions) -> None:
    """The last lines, on stderr."""
    blank_line()
    notice(*summary(observations))
    if next_step := _advice(observations, options):
        notice(f"next: {next_step}", "dim", command=True)


def _advice(observations: Sequence[Observation], options: DoctorOptions) -> str | None:
    """The next command to try, or None if the lines above say it all."""
    if any(each.chapter == "contract" and each.state in {"warning", "wrong"} for each in observations):
        if options.report:
            return f"look through {options.report}, then send it to support@chatloom.app"
        return "chatloom doctor --contract --report report.md   (then send that to support@chatloom.app)"
    if any(each.subject == "key" and each.state == "wrong" for each in observations):
        return "export CHATLOOM_API_KEY=... && chatloom doctor   (try it: chatloom doctor --sandbox)"
    return None


MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "-", "advice": "→"}
PLAIN = {"ok": "+", "warning": "!", "wrong": "x", "skipped": "-", "advice": ">"}
"""For a stream whose encoding has no ticks."""

STYLES = {"ok": "green", "warning": "bold yellow", "wrong": "bold red", "skipped": "dim"}
WIDEST = 13
"""Width of the longest subject, so that lines printed one by one form a table."""


def line(each: Observation, stream: TextIO) -> str:
    """The observation as it may look on that stream."""
    style, marks = terminal_style(stream), _marks(stream)
    table = Columns(("", "", ""), style.width, style.color, headed=False, fixed=frozenset((0, 1)), least=(1, WIDEST))
    faint = "dim" if each.state == "skipped" else ""
    mark = cell(marks[each.state], STYLES[each.state])
    rows = [(mark, cell(each.subject, faint or "bold"), cell(each.found, faint))]
    if each.advice:
        rows.append((cell(""), cell(""), cell(f"{marks['advice']} {each.advice}", "cyan")))
    return table.table(rows)


def _marks(stream: TextIO) -> dict[str, str]:
    try:
        "".join(MARKS.values()).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return MARKS


def summary(observations: Sequence[Observation]) -> tuple[str, str]:
    """The closing line, and its style."""
    counts = {state: sum(each.state == state for each in observations) for state in ("ok", "warning", "wrong")}
    told = ", ".join(f"{count} {_plural(state, count)}" for state, count in counts.items() if count)
    style = "red" if counts["wrong"] else "yellow" if counts["warning"] else "green"
    total = sum(counts.values())
    return f"{total} check{'' if total == 1 else 's'}: {told}", style


def _plural(state: str, count: int) -> str:
    return "warnings" if state == "warning" and count > 1 else state
