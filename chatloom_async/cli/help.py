"""`--help` as plain text: the overview of all commands, and the page of each one.

The overview imports nothing of the extra [cli], so that it appears at once.
"""

import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence

TYPE_CHECKING = False  # as in the package
if TYPE_CHECKING:
    from cyclopts import Argument

COMMANDS = {
    "audit": ("[WORKSPACES] [OPTIONS]", "Audit every agent and allowed domain of many workspaces."),
    "runs": ("--db PATH [OPTIONS]", "List the audits that a database holds."),
    "diff": ("--db PATH [OLD NEW] [OPTIONS]", "Show what changed from one audit to another."),
    "rules": ("[OPTIONS]", "List the rules that an audit applies, and why."),
    "agents": ("[OPTIONS]", "List the agents of one workspace, newest first."),
    "domains": ("AGENT_ID [OPTIONS]", "List the domains on which an agent's widget may load, oldest first."),
    "call": ("PATH [OPTIONS]", "Send a GET to any path of the API and print its JSON."),
    "doctor": ("[OPTIONS]", "Check, step by step, whether calls to the API work from here."),
    "sandbox": ("[OPTIONS]", "Serve a stand-in for the API on this machine until Ctrl-C."),
    "completion": ("SHELL", "Print a script that lets a shell complete commands and options."),
}
"""What follows each command, and the first line of its page."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Audits": ("audit", "runs", "diff", "rules"),
    "One workspace": ("agents", "domains", "call"),
    "Set-up": ("doctor", "sandbox", "completion"),
}
TITLES = {"Parameters": "Options"}
FLAGS = frozenset(("--help", "-h"))

OPTIONS = (
    ("-h, --help", "Show this overview, or, after a command, its page."),
    ("--version", "Show the version."),
)
ENVIRONMENT = (
    ("CHATLOOM_API_KEY", "The key of one workspace. No key is ever an argument, because others could read it there."),
    ("CHATLOOM_BASE_URL", "Address of the API. Default: https://chatloom.app."),
    ("NO_COLOR", "If it is set, output has no colors."),
    ("CHATLOOM_TRACEBACK", "If it is set, a defect is shown with its traceback."),
)
EXAMPLES = """\
$ chatloom audit                            # try it on an embedded sandbox
$ chatloom audit workspaces.toml --html report.html
$ chatloom agents --format json | jq .count
$ chatloom doctor"""

NARROWEST, WIDEST = 48, 100
LONGEST_NAME = 24  # columns for the names of options. The text of a longer one begins on the next line
SECTION = re.compile(r"^(\S.*):\n(?= {4})", re.MULTILINE)
VERBATIM = re.compile(r"\s|\$ |\d ")
"""How paragraphs begin whose lines are not joined: indented ones, commands and numbered lists."""


def overview() -> str:
    """All commands, in groups, and what they have in common."""
    groups = [(title, [(name, COMMANDS[name][1]) for name in names]) for title, names in GROUPS.items()]
    tables: list[tuple[str, Sequence[tuple[str, str]]]] = [*groups, ("Options", OPTIONS), ("Environment", ENVIRONMENT)]
    return _joined(
        "Read and audit Chatloom workspaces.",
        _section("Usage", "chatloom COMMAND [OPTIONS]"),
        *(_section(title, _table(rows, least=max(map(len, COMMANDS)))) for title, rows in tables),
        _section("Examples", EXAMPLES),
        _section("More", "`chatloom COMMAND --help` explains a command and all of its options."),
    )


def page(name: str, documentation: str, arguments: Iterable["Argument"]) -> str:
    """The page of one command, from its docstring, which is clean and may have sections, and its parameters."""
    introduction, *sections = SECTION.split(documentation)
    tables: dict[str, list[tuple[str, str]]] = {}
    for argument in sorted(filter(lambda argument: argument.show, arguments), key=_order):
        title = getattr(argument.parameter.group[0], "name", "")  # type: ignore[index]
        tables.setdefault(title, []).append(_entry(argument))
    return _joined(
        _flow(introduction, 0),
        _section("Usage", f"chatloom {name} {COMMANDS[name][0]}"),
        *(_section(TITLES.get(title, title), _table(rows)) for title, rows in tables.items()),
        *(
            _section(title, _flow(textwrap.dedent(body), 2))
            for title, body in zip(sections[::2], sections[1::2], strict=True)
        ),
    )


def _order(argument: "Argument") -> int:
    """Groups in their order; before them positional arguments, and options without a group."""
    key = argument.parameter.group[0].sort_key  # type: ignore[index]
    return key if isinstance(key, int) else 0 if argument.field_info.is_positional else 1


def _entry(argument: "Argument") -> tuple[str, str]:
    """The names of a parameter with what follows them, and its text with its default."""
    names = sorted((name for name in argument.names if name not in argument.negatives), key=len)
    given = argument.parameter.metavar or ("" if argument.is_flag() else names[-1].lstrip("-").upper())
    if argument.field_info.is_positional:
        left = names[0]
    else:
        left = f"{'' if len(names) > 1 else '    '}{', '.join(names)} {given}".rstrip()
    default = argument.field_info.default
    shown = argument.show_default and default is not None and default is not False and default != ()
    text = argument.parameter.help or ""
    return left, f"{text} Default: {default}." if shown else f"{text} Required." if argument.required else text


def _joined(*blocks: str) -> str:
    return "\n\n".join(blocks) + "\n"


def _section(title: str, body: str) -> str:
    return f"{title.upper()}\n{textwrap.indent(body, '  ')}"


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def _flow(text: str, indent: int) -> str:
    """The text with its paragraphs filled to the width of the terminal."""
    paragraphs = text.strip("\n").split("\n\n")
    return "\n\n".join(
        paragraph if VERBATIM.match(paragraph) else _filled(paragraph, _width() - indent) for paragraph in paragraphs
    )


def _filled(text: str, width: int) -> str:
    return textwrap.fill(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)


def _table(rows: Sequence[tuple[str, str]], *, least: int = 0) -> str:
    """Two columns: names, at least so wide, and texts that are filled."""
    column = max(least, *(len(name) for name, _ in rows if len(name) <= LONGEST_NAME)) + 2
    lines = []
    for name, text in rows:
        first, *rest = _filled(text, _width() - 2 - column).split("\n")
        start = f"{name:{column}}" if len(name) <= LONGEST_NAME else f"{name}\n{' ' * column}"
        lines += [start + first, *(" " * column + line for line in rest)]
    return "\n".join(lines)
