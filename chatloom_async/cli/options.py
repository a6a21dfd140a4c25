"""The options of the commands, as values: how to reach a workspace, and, in groups, those of `chatloom audit`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from attrs import frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from ..audit.values import DomainMatching, FailOn, FormatName
from .terminal import STDIN, CommandLineError, read_stdin

if TYPE_CHECKING:
    from ..client import AsyncChatloom
    from ..wire.auth import ApiKey
    from ..wire.errors import InvalidApiKeyError

KEY_VARIABLE = "CHATLOOM_API_KEY"

FREQUENT, WHICH, FINDINGS, RUN = (
    Group(name, sort_key=place)
    for place, name in enumerate(("Frequent options", "Which workspaces", "Rules and findings", "How it runs"), 2)
)

BaseUrl = Annotated[
    str | None,
    Parameter(metavar="URL", help="Address of the API. Default: CHATLOOM_BASE_URL, or https://chatloom.app."),
]
OutputPath = Annotated[
    Path | None, Parameter(name=("--output", "-o"), metavar="FILE", help="Write to this file. Default: stdout.")
]
TableOrJson = Annotated[Literal["table", "json"], Parameter(name="--format", metavar="FORMAT", help="table or json.")]
RuleGlobs = Annotated[
    tuple[str, ...],
    Parameter(metavar="GLOB", help="Only the rules whose ids match this glob pattern; may be repeated."),
]
RuleFiles = Annotated[
    tuple[Path, ...],
    Parameter(metavar="FILE", help="Python file with rules of your own. It is executed. May be repeated."),
]
Db = Annotated[Path, Parameter(metavar="PATH", help="File that `chatloom audit --db PATH` wrote.")]


def file_or_stdin(_: object, value: Path | None) -> None:
    """A validator: no value begins with a hyphen, except - itself."""
    if value is not None and value != STDIN and str(value).startswith("-"):
        raise ValueError("This is neither a file nor an option of this command: see --help")


@Parameter(name="*")
@frozen
class Access:
    """The key is never an argument: other users of the machine can read those."""

    key_file: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help=f"File with the key, readable by its owner only; - is stdin. Default: {KEY_VARIABLE}.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None
    base_url: BaseUrl = None

    def files(self) -> list[tuple[str, Path]]:
        """The inputs that no output may overwrite."""
        return [] if self.key_file is None else [("the file of --key-file", self.key_file)]

    async def client(self) -> "AsyncChatloom":
        """A client for the key's workspace. Raises ConfigurationError if there is no key."""
        if self.key_file is None and KEY_VARIABLE not in os.environ:
            raise CommandLineError(f"There is no API key: {KEY_VARIABLE} is not set", hint=NO_KEY)
        key = await _read_key(self.key_file) if self.key_file else None
        if isinstance(key, Exception):
            raise key
        from ..client import AsyncChatloom

        return AsyncChatloom(key, base_url=self.base_url)


NO_KEY = (
    "Set it, or name a file with --key-file. Keys are made in the dashboard under Settings > API Keys. "
    "Without a key, `chatloom audit` shows an embedded sandbox."
)


async def _read_key(path: Path) -> "ApiKey | Exception":
    """The key or the error as data, so that no frame with the key's text is on a traceback."""
    from ..audit.keys import KeyFile, resolve_key

    return key_from_stdin() if path == STDIN else await resolve_key(KeyFile(path))


def key_from_stdin() -> "ApiKey | InvalidApiKeyError":
    """The key in the first line of standard input, or the error."""
    from ..wire.auth import api_key_or_error

    return api_key_or_error(read_stdin(one_line=True).removesuffix("\n").removesuffix("\r"))


@Parameter(name="*", group=WHICH)
@frozen
class Selection:
    """Filters; all of them must agree. One that leaves nothing is an error."""

    only: Annotated[
        tuple[str, ...],
        Parameter(metavar="GLOB", help="Only workspaces whose names match this glob pattern; may be repeated."),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Parameter(metavar="GLOB", help="Not the workspaces whose names match this glob pattern; may be repeated."),
    ] = ()
    tag: Annotated[
        tuple[str, ...], Parameter(metavar="TAG", help="Only workspaces with this tag, or one of several tags.")
    ] = ()
    inline_keys: Annotated[
        bool, Parameter(help="Accept keys in the list itself, in a field `key`. Such a file is a secret.")
    ] = False
    sandbox: Annotated[bool, Parameter(help="Audit the embedded sandbox, even if there is a key.")] = False


@Parameter(name="*", group=FINDINGS)
@frozen
class FindingOptions:
    """Which rules are applied, and which of their findings count."""

    rule: RuleGlobs = ()
    rules: RuleFiles = ()
    fail_on: Annotated[
        FailOn | None,
        Parameter(
            metavar="LEVEL",
            group=FREQUENT,
            help="Exit with status 1 on findings of this severity or worse: error, warning, info, or never. "
            "Default: error, and never for the embedded sandbox.",
        ),
    ] = None
    mutes: Annotated[
        Path | None,
        Parameter(metavar="FILE", group=FREQUENT, help="TOML file of findings that are accepted until a day."),
    ] = None
    baseline: Annotated[
        Literal["last"] | int | None,
        Parameter(
            metavar="RUN",
            group=FREQUENT,
            help="Fail only on findings that this run of --db did not have: the number of a run, or last for the "
            "newest complete one.",
        ),
    ] = None
    domain_matching: Annotated[
        DomainMatching,
        Parameter(
            metavar="KIND",
            help="What an allowed domain stands for: exact (that name only), subdomains (its subdomains, too), or "
            "unknown (the API's documentation does not say, so findings leave it open).",
        ),
    ] = "unknown"
    dns: Annotated[
        bool, Parameter(help="Also look up allowed domains in the DNS: are they registered, do they have an address?")
    ] = False
    resolver: Annotated[
        str | None, Parameter(metavar="IP[:PORT]", help="DNS resolver for --dns. Default: those of this machine.")
    ] = None


@Parameter(name="*", group=FREQUENT)
@frozen
class ReportOptions:
    """The format and the destination of the report."""

    format: Annotated[
        FormatName,
        Parameter(
            metavar="FORMAT",
            help="For people: table, markdown, html. For programs: json, csv, sarif, junit, github (annotations of a "
            "workflow), or jsonl (one line per workspace as soon as it is read, without findings that concern "
            "several workspaces).",
        ),
    ] = "table"
    output: OutputPath = None
    html: Annotated[Path | None, Parameter(metavar="FILE", help="Also write an HTML report to this file.")] = None
    write_expect: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            group=FINDINGS,
            help="Write a TOML list of the workspaces that expects the domains which are allowed today. "
            "Audit that list later, and every change is a finding.",
        ),
    ] = None


@Parameter(name="*", group=FREQUENT)
@frozen
class HistoryOptions:
    """Where runs are kept."""

    db: Annotated[
        Path | None,
        Parameter(metavar="PATH", help="Keep runs in this database. An interrupted run keeps what it read."),
    ] = None
    resume: Annotated[bool, Parameter(help="Continue the last run of --db: read what is missing, and what failed.")] = (
        False
    )


@Parameter(name="*", group=RUN)
@frozen
class RunOptions:
    """How it runs."""

    concurrency: Annotated[
        int | None,
        Parameter(
            metavar="N",
            help="Workspaces at once. Default: 64, or as many as the workers of --engine dask have room for.",
            validator=Number(gte=1),
        ),
    ] = None
    max_pause: Annotated[
        float,
        Parameter(
            metavar="SECONDS",
            help="Longest wait for an API that is down or that answers 429 only, all pauses together; the retries of "
            "each call come first.",
            validator=Number(gte=0),
        ),
    ] = 900
    base_url: BaseUrl = None
    dry_run: Annotated[
        bool, Parameter(group=FREQUENT, help="List what would be audited and what it costs, and send nothing.")
    ] = False
    quiet: Annotated[bool, Parameter(help="Show no progress, and closing lines only if the status is not 0.")] = False
    verbose: Annotated[bool, Parameter(help="Show a line for each attempt at a request, without keys.")] = False
    engine: Annotated[
        Literal["local", "dask"],
        Parameter(
            metavar="ENGINE", help="Who reads: local (this process), or dask (workers on this machine or on a cluster)."
        ),
    ] = "local"
    scheduler: Annotated[
        str | None,
        Parameter(metavar="ADDRESS", help="Scheduler of the Dask cluster, such as tcp://HOST:8786 or tls://HOST:8786."),
    ] = None

    @property
    def at_once(self) -> int:
        """Workspaces at once in one process."""
        return self.concurrency or 64
