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

from ..audit.formats.layout import Columns, cell
from ..audit.formats.text import counted
from ..audit.keys import KeyEnv, KeyFile
from ..diagnosis import Journal, Observation, Setup, examine
from ..diagnosis.journal import markdown
from ..diagnosis.local import GivenKey, KeyReference
from ..wire.encode import json_text
from .files import check_outputs, open_file
from .options import KEY_VARIABLE, Access, key_from_stdin
from .terminal import STDIN, CommandLineError, blank_line, notice, terminal_style


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
    ] = 30


async def doctor(*, options: DoctorOptions = DoctorOptions(), access: Access = Access()) -> int:
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
    with open_file(options.report, "--report") if options.report else nullcontext() as file:
        async with _setup(options, access) as setup:
            async for observation in examine(setup, journal):
                if not options.json:  # each at once; a blank line sets the contract off
                    new_chapter = observations and observations[-1].chapter != observation.chapter
                    print("\n" * bool(new_chapter) + line(observation, sys.stdout), end="", flush=True)
                observations.append(observation)
        if file:
            file.write(markdown(observations, journal.entries, setup.versions, datetime.now(UTC)))
    works = not any(observation.state == "wrong" for observation in observations)
    if options.json:
        document = {"schema_version": 1, "works": works, "checks": [attrs.asdict(check) for check in observations]}
        sys.stdout.write(json_text(document, indent=True) + "\n")
    blank_line()
    notice(*summary(observations))
    if next_step := _next_step(observations, options.report):
        notice(f"next: {next_step}", "dim", command=True)
    return 0 if works else 1


@asynccontextmanager
async def _setup(options: DoctorOptions, access: Access) -> AsyncIterator[Setup]:
    """What is examined; the embedded sandbox serves as long as the context is open."""
    if not options.sandbox:
        path = access.key_file
        key: KeyReference = KeyEnv(KEY_VARIABLE) if path is None else KeyFile(path)
        if path == STDIN:
            key = GivenKey("standard input", key_from_stdin())
        yield Setup(key=key, base_url=access.base_url, contract=options.contract, time_limit=options.time_limit)
        return
    if access != Access():
        raise CommandLineError(
            "--sandbox brings its own key and address: leave out --key-file and --base-url",
            hint="See `chatloom doctor --help`.",
        )
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=7, trouble=0)
    source = "the embedded sandbox"
    key = GivenKey(source, sandbox.add_workspace("acorn").key)
    async with sandbox.serve() as url:
        yield Setup(
            key=key, base_url=url, base_url_from=source, contract=options.contract, time_limit=options.time_limit
        )


def _next_step(observations: Sequence[Observation], report: Path | None) -> str | None:
    """The next command to try, or None if the lines above say it all."""
    if any(check.chapter == "contract" and check.state in {"warning", "wrong"} for check in observations):
        if report:
            return f"look through {report}, then send it to support@chatloom.app"
        return "chatloom doctor --contract --report report.md   (then send that to support@chatloom.app)"
    if any(check.subject == "key" and check.state == "wrong" for check in observations):
        return "export CHATLOOM_API_KEY=... && chatloom doctor   (try it: chatloom doctor --sandbox)"
    return None


MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "skipped": "-", "advice": "→"}
PLAIN = {"ok": "+", "warning": "!", "wrong": "x", "skipped": "-", "advice": ">"}
"""For a stream whose encoding has no ticks."""

STYLES = {"ok": "green", "warning": "bold yellow", "wrong": "bold red", "skipped": "dim"}
WIDEST = 13  # width of the longest subject, so that lines printed one by one form a table


def line(observation: Observation, stream: TextIO) -> str:
    """The observation as it may look on that stream."""
    style, marks = terminal_style(stream), MARKS
    try:
        "".join(MARKS.values()).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        marks = PLAIN
    table = Columns(("", "", ""), style.width, style.color, headed=False, fixed=frozenset((0, 1)), least=(1, WIDEST))
    faint = "dim" if observation.state == "skipped" else ""
    mark = cell(marks[observation.state], STYLES[observation.state])
    rows = [(mark, cell(observation.subject, faint or "bold"), cell(observation.found, faint))]
    if observation.advice:
        rows.append((cell(""), cell(""), cell(f"{marks['advice']} {observation.advice}", "cyan")))
    return table.table(rows)


def summary(observations: Sequence[Observation]) -> tuple[str, str]:
    """The closing line, and its style."""
    states = [observation.state for observation in observations]
    good, odd, bad = (states.count(state) for state in ("ok", "warning", "wrong"))
    parts = (f"{good} ok" * bool(good), counted(odd, "warning") * bool(odd), f"{bad} wrong" * bool(bad))
    text = f"{counted(good + odd + bad, 'check')}: {', '.join(filter(None, parts))}"
    return text, "red" if bad else "yellow" if odd else "green"
