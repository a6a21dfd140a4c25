"""Registers the commands, and converts the end of each into an exit status and at most one line.

0 done, 1 findings, 2 usage or configuration, 3 some workspaces were not fully audited, 4 nothing could be read,
130 interrupted, 141 nobody reads what is written.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from logging import NullHandler, getLogger
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from ..wire.cleaning import clean
from ..wire.errors import ChatloomError, ConfigurationError, UsageError
from ..wire.version import VERSION
from .files import OutputError
from .signals import SignalHandling, handle_signals
from .terminal import error_line, forget_stream, prepare_streams, print_lines, stdout

USAGE, NOTHING_READ, INTERRUPTED, PIPE_CLOSED = 2, 4, 130, 141  # 141: what a shell reports for SIGPIPE

TRACEBACK = "CHATLOOM_TRACEBACK"

SILENT = NullHandler()

KEY_GIVEN = re.compile(r"--?(api[-_]?)?(key|token)(=|$)|clf_", re.IGNORECASE)
NO_KEY_HERE = (
    "A key is never an argument, where others could read it: set the environment variable CHATLOOM_API_KEY, or name "
    "a file with --key-file where a command has that option"
)

HELP = """Reads and audits Chatloom workspaces.

The key comes from the environment variable CHATLOOM_API_KEY, never from an argument. \
`chatloom audit` needs none to try it: without a key it audits an embedded sandbox."""

COMMANDS = {
    "audit": ("[WORKSPACES] [OPTIONS]", "Audit every agent and allowed domain of many workspaces."),
    "runs": ("--db PATH [OPTIONS]", "List the audits that a database holds."),
    "rules": ("[OPTIONS]", "List the rules that an audit applies, and why."),
    "diff": ("--db PATH [OLD NEW] [OPTIONS]", "Show what changed from one audit to another."),
    "agents": ("[OPTIONS]", "List the agents of one workspace, newest first."),
    "domains": ("AGENT_ID [OPTIONS]", "List the domains on which an agent's widget may load, oldest first."),
    "call": ("PATH [OPTIONS]", "Send a GET to any path of the API and print its JSON."),
    "doctor": ("[OPTIONS]", "Check, step by step, whether calls to the API work from here."),
    "sandbox": ("[OPTIONS]", "Serve a stand-in for the API on this machine until Ctrl-C."),
    "completion": ("SHELL", "Print a script that lets a shell complete commands and options."),
}
"""What follows each command, and the first line of its docstring."""

MODULES = {
    "agents": "workspace",
    "call": "workspace",
    "completion": "app",
    "diff": "history",
    "domains": "workspace",
    "runs": "history",
}
"""The modules of commands that do not stand in one of their own name."""


def command_line(asked: str | None) -> App:
    """The program. Only the file of the command that is asked for is imported; its docstring is its help text."""
    app = App(
        "chatloom",
        help=HELP,
        help_format="markdown",
        version=VERSION,
        default_parameter=Parameter(negative=(), show_default=_shown),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    for place, (name, (usage, summary)) in enumerate(COMMANDS.items()):
        app.command(
            f"{__package__}.{MODULES.get(name, name)}:{name}",
            name=name,
            help=None if name == asked else summary,
            usage=f"Usage: chatloom {name} {usage}",
            sort_key=place,
        )
    return app


async def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], Parameter(help="The shell that is to complete: bash, zsh or fish.")
    ],
    /,
) -> int:
    """Print a script that lets a shell complete commands and options.

    Example: chatloom completion bash > ~/.local/share/bash-completion/completions/chatloom
    """
    stdout("locale").write(command_line(None).generate_completion(shell=shell))
    return 0


def _shown(default: object) -> str | None:
    return None if default is False or default is None or default == () else str(default)


def run(arguments: Sequence[str]) -> int:
    """The exit status of one command. No error gets out of here as a traceback, and no key in its text."""
    prepare_streams()
    getLogger("chatloom_async").addHandler(SILENT)  # what is logged is in the rows and errors, too
    with handle_signals() as signals:
        try:
            status = _status(arguments, signals)
            signals.interruptible = False
        except KeyboardInterrupt:
            signals.say()
            forget_stream(sys.stdout)  # what is left of its output must not wait for a reader
            status = INTERRUPTED
    return 128 + signals.received if status == INTERRUPTED and signals.received else status


def _status(arguments: Sequence[str], signals: SignalHandling) -> int:
    try:
        status = _run(arguments, signals)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:  # rich exits with 1 if nobody reads the help
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        forget_stream(sys.stdout)
        status = PIPE_CLOSED
    except OSError as problem:  # the machine's trouble, not a defect
        forget_stream(sys.stdout)
        error_line(_os_error(problem))
        status = NOTHING_READ
    except Exception as error:
        if isinstance(error, OutputError):
            forget_stream(sys.stdout)
        status, text = _ending(error, arguments)
        error_line(text)
    return status


def _run(arguments: Sequence[str], signals: SignalHandling) -> int:
    command, bound, _ = command_line(_asked(arguments)).parse_args(arguments, print_error=False, exit_on_error=False)
    if isinstance(getattr(command, "__self__", None), App):  # it prints the help or the version
        stdout("locale")
    result = command(*bound.args, **bound.kwargs)
    return (signals.run(result) if iscoroutine(result) else result) or 0


def _os_error(problem: OSError) -> str:
    reason = problem.strerror or str(problem)
    return clean(f"{problem.filename}: {reason}" if problem.filename else f"{reason} (while reading or writing a file)")


def _ending(error: Exception, arguments: Sequence[str]) -> tuple[int, str]:
    for kinds, status, text in ENDINGS:
        if isinstance(error, kinds):
            return status, text(error, arguments)
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}" if frame else "no place known"
    message = f"unexpected {type(error).__name__}: {clean(str(error))} ({place})"
    if os.environ.get(TRACEBACK):
        lines = "".join(traceback.format_exception(error)).splitlines()
        print_lines(lines)
        return NOTHING_READ, f"{message}. This is a defect: please report it with the traceback above."
    return NOTHING_READ, f"{message}. This is a defect: please report it. {TRACEBACK}=1 shows the traceback."


def _asked(arguments: Sequence[str]) -> str | None:
    return next((each for each in arguments if each in COMMANDS), None)


def _parse_error(error: Exception, arguments: Sequence[str]) -> str:
    command = " ".join(filter(None, ("chatloom", _asked(arguments))))
    text = re.sub(r"Available commands:.*", f"The commands are {', '.join(COMMANDS)}", clean(str(error))).rstrip(". ")
    if isinstance(error, MissingArgumentError) and error.argument and error.argument.required:
        text = f"{error.argument.name} {error.argument.parameter.metavar or ''}".strip() + " is needed"
    if any(KEY_GIVEN.match(each) for each in arguments):
        text += f"{_stop(text)} {NO_KEY_HERE}"
    return f"{text}{_stop(text)} See `{command} --help`."


def _stop(text: str) -> str:
    """What ends a sentence that may have its question mark already."""
    return "" if text.endswith(("?", "!", ".")) else "."


ENDINGS: tuple[tuple[tuple[type[Exception], ...], int, Callable[[Exception, Sequence[str]], str]], ...] = (
    ((CycloptsError,), USAGE, _parse_error),
    ((ConfigurationError, UsageError), USAGE, lambda error, _: str(error)),
    ((ChatloomError,), NOTHING_READ, lambda error, _: str(error)),
)
