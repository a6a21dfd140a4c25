"""Runs commands, and converts the end of each into an exit status and at most one line.

0 done, 1 findings, 2 usage or configuration, 3 some workspaces were not fully audited, 4 nothing could be read,
130 interrupted, 141 nobody reads what is written.
"""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from inspect import getdoc, iscoroutine
from logging import NullHandler, getLogger
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import (
    App,
    Argument,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
    ValidationError,
)

from ..wire.cleaning import clean
from ..wire.errors import ChatloomError, ConfigurationError, UsageError
from ..wire.version import VERSION
from . import stderr_is_stalled
from .files import OutputError
from .help import COMMANDS, FLAGS, overview, page
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

MODULES = {
    "completion": "app",
    **dict.fromkeys(("diff", "runs"), "history"),
    **dict.fromkeys(("agents", "call", "domains"), "workspace"),
}
"""Commands whose module has another name."""

ADVICE = {
    "AttemptTimeoutError": "Try again later; `chatloom doctor` shows which step is slow.",
    "ConfigurationError": "See `chatloom --help`.",
    "DeadlineExceededError": "Try again later; `chatloom doctor` shows which step is slow.",
    "InvalidAgentIdError": "`chatloom agents` lists the ids.",
    "InvalidBaseUrlError": "Name the final https address in --base-url or CHATLOOM_BASE_URL, such as "
    "https://chatloom.app, without credentials, query or fragment.",
    "KeyUnavailableError": "Name a file that holds the key alone and that only you may read.",
    "NoDatabaseGivenError": "Name the database: --db PATH.",
    "RateLimitError": "Wait a minute; let other programs with this key make fewer requests, or ask "
    "support@chatloom.app.",
    "ResponseTooLargeError": "The program reads 8 MiB at most.",
    "TLSError": "Check the base URL, the clock and the CA certificates; name a private CA by SSL_CERT_FILE.",
}
"""Hints of errors in the terms of the command line, where the library's name arguments and methods."""


def command_line(asked: str | None) -> App:
    """The program. Only the file of the command that is asked for is imported."""
    app = App(
        "chatloom",
        version=VERSION,
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    for name, (_, summary) in COMMANDS.items():
        module = f"{__package__}.{MODULES.get(name, name)}:{name}"
        app.command(module, name=name, help=None if name == asked else summary)
    return app


def command_help(name: str) -> str:
    """The page of a command, which ends with its examples."""
    command = command_line(name)[name]
    return page(name, getdoc(command.default_command) or "", command.assemble_argument_collection())


async def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell: bash, zsh or fish.")], /
) -> int:
    """Print a script that lets a shell complete commands and options.

    Examples:
        $ chatloom completion bash > ~/.local/share/bash-completion/completions/chatloom
        $ chatloom completion fish > ~/.config/fish/completions/chatloom.fish
    """
    stdout("locale").write(command_line(None).generate_completion(shell=shell))
    return 0


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit status. An error is printed as one line, without keys."""
    getLogger("chatloom_async").addHandler(SILENT)  # what is logged is in the rows and errors, too
    with handle_signals() as signals:
        try:
            status = _status(arguments, signals)
            signals.interruptible = False
        except KeyboardInterrupt:
            signals.say()
            forget_stream(sys.stdout)  # what is left of its output must not wait for a reader
            if stderr_is_stalled():
                forget_stream(sys.stderr)
            status = INTERRUPTED
    return 128 + signals.received if status == INTERRUPTED and signals.received else status


def _status(arguments: Sequence[str], signals: SignalHandling) -> int:
    try:
        prepare_streams()
        status = _run(arguments, signals)
        for stream in filter(None, (sys.stderr, sys.stdout)):
            stream.flush()  # while a signal can still end the wait for a reader
    except BrokenPipeError:
        forget_stream(sys.stdout)
        status = PIPE_CLOSED
    except OSError as problem:  # a problem of the machine, not a defect
        forget_stream(sys.stdout)
        reason = problem.strerror or str(problem)
        place = f"{problem.filename}: " if problem.filename else ""
        error_line(clean(f"{place}{reason}{'' if place else ' (while reading or writing a file)'}"))
        status = NOTHING_READ
    except Exception as error:
        if isinstance(error, OutputError):
            forget_stream(sys.stdout)
        status, text = _ending(error, arguments)
        error_line(text)
    return status


def _run(arguments: Sequence[str], signals: SignalHandling) -> int:
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    name = _command(words)
    if "--version" in words:
        stdout("locale").write(f"{VERSION}\n")
        return 0
    if not words or (FLAGS.intersection(words) and (name or set(words) <= FLAGS)):
        stdout("locale").write(command_help(name) if name else overview())
        return 0
    command, bound, _ = command_line(name).parse_args(arguments, print_error=False, exit_on_error=False)
    result = command(*bound.args, **bound.kwargs)
    return (signals.run(result) if iscoroutine(result) else result) or 0


def _command(words: Sequence[str]) -> str | None:
    return next((word for word in words if word in COMMANDS), None)


def _ending(error: Exception, arguments: Sequence[str]) -> tuple[int, str]:
    """The exit status for an error, and its line."""
    if isinstance(error, CycloptsError):
        return USAGE, _usage_error(error, arguments)
    if isinstance(error, ChatloomError):
        advice = ADVICE.get(type(error).__name__)
        text = str(error).replace(error.hint, advice) if advice and error.hint else str(error)
        return USAGE if isinstance(error, (ConfigurationError, UsageError)) else NOTHING_READ, text
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}, line {frame.tb_lineno}" if frame else "no place known"
    message = f"unexpected {type(error).__name__}: {clean(str(error))} ({place})"
    if os.environ.get(TRACEBACK):
        print_lines("".join(traceback.format_exception(error)).splitlines())
        return NOTHING_READ, f"{message}. This is a defect: please report it with the traceback above."
    return NOTHING_READ, f"{message}. This is a defect: please report it. {TRACEBACK}=1 shows the traceback."


def _usage_error(error: CycloptsError, arguments: Sequence[str]) -> str:
    """The sentences for a command line that cannot be parsed."""
    name, argument = _command(arguments), error.argument
    text = re.sub(r"Available commands:.*", f"The commands are {', '.join(COMMANDS)}", clean(str(error))).rstrip(". ")
    if isinstance(error, MissingArgumentError) and argument and argument.required:
        text = f"{argument.name} {argument.parameter.metavar or ''}".strip() + " is needed"
    elif isinstance(error, ValidationError) and argument and (option := _taken_for_a_file(argument)):
        near = get_close_matches(option, _options(name), 1)
        text = f'Unknown option: "{clean(option)}"{f". Did you mean {near[0]}?" if near else ""}'
    elif isinstance(error, UnusedCliTokensError):
        text = f"Unexpected: {clean(' '.join(error.unused_tokens or ()))}"
    elif isinstance(error, CoercionError) and argument and error.token and "unable to convert" in text:
        wanted = "the number of a run, or last" if argument.name == "--baseline" else "a number"
        text = f'Invalid value "{clean(error.token.value)}" for {argument.name}. Give {wanted}'
    if any(KEY_GIVEN.match(word) for word in arguments):
        text += f"{_stop(text)} {NO_KEY_HERE}"
    return f"{text}{_stop(text)} See `{' '.join(filter(None, ('chatloom', name)))} --help`."


def _taken_for_a_file(argument: Argument) -> str:
    """What looks like an option in the place of the list of workspaces; "" if nothing does."""
    words = [token.value for token in argument.tokens if token.keyword is None]
    return words[0].partition("=")[0] if words and words[0].startswith("-") else ""


def _options(name: str | None) -> list[str]:
    """The options of a command."""
    arguments = command_line(name)[name].assemble_argument_collection() if name else ()
    return [option for argument in arguments for option in argument.names if option.startswith("--")]


def _stop(text: str) -> str:
    """What ends a sentence that may have its question mark already."""
    return "" if text.endswith(("?", "!", ".")) else "."
