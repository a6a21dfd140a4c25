"""The options of the commands, as values: how to reach a workspace, and, in groups, those of `chatloom audit`."""

from pathlib import Path
from typing import Annotated, Literal

from attrs import frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from ..audit.keys import KeyFile, resolve_key
from ..audit.session import FailOn, FormatName
from ..audit.values import DomainMatching
from ..client import AsyncChatloom
from ..wire.auth import ApiKey, api_key_or_error
from .files import OutputPath
from .terminal import read_stdin

BaseUrl = Annotated[
    str | None,
    Parameter(metavar="URL", help="Address of the API. Default: CHATLOOM_BASE_URL, else https://chatloom.app."),
]


def file_or_stdin(_: object, value: Path | None) -> None:
    """A validator: of all that begins with a hyphen, only - itself stands for something."""
    if value is not None and str(value) != "-" and str(value).startswith("-"):
        raise ValueError("This is neither a file nor an option of this command")


@Parameter(name="*")
@frozen
class Access:
    """The key is never an argument: other users of the machine can read those."""

    key_file: Annotated[
        Path | None,
        Parameter(
            help="File with the key, readable by its owner only; - is stdin. Default: CHATLOOM_API_KEY.",
            allow_leading_hyphen=True,
            validator=file_or_stdin,
        ),
    ] = None
    base_url: BaseUrl = None

    def files(self) -> list[tuple[str, Path]]:
        """The inputs that no output may overwrite."""
        return [] if self.key_file is None else [("the file of --key-file", self.key_file)]

    async def client(self) -> AsyncChatloom:
        """A client for the key's workspace. Raises ConfigurationError if there is no key."""
        key = None if self.key_file is None else await _key(self.key_file)
        if key is None or isinstance(key, ApiKey):
            return AsyncChatloom(key, base_url=self.base_url)
        raise key


FROM_ENVIRONMENT = Access()


async def _key(path: Path) -> ApiKey | Exception:
    if path == Path("-"):
        return api_key_or_error(read_stdin(one_line=True).removesuffix("\n").removesuffix("\r"))
    return await resolve_key(KeyFile(path))


EngineName = Literal["local", "dask"]

WHICH, FINDINGS, REPORT, HISTORY, RUN = (
    Group(name, sort_key=place)
    for place, name in enumerate(("Which workspaces", "Findings", "Report", "History", "Run"), 1)
)


@Parameter(name="*", group=WHICH)
@frozen
class Selection:
    """Filters; all of them must agree. One that leaves nothing is an error."""

    only: Annotated[
        tuple[str, ...], Parameter(metavar="GLOB", help="Names to audit, as a glob pattern; may be repeated.")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], Parameter(metavar="GLOB", help="Names to leave out, as a glob pattern; may be repeated.")
    ] = ()
    tag: Annotated[
        tuple[str, ...], Parameter(metavar="TAG", help="Audit those with this tag; may be repeated, any will do.")
    ] = ()
    inline_keys: Annotated[bool, Parameter(help="Accept a field `key` with the key itself.")] = False
    sandbox: Annotated[bool, Parameter(help="Audit the embedded sandbox, also if there is a key.")] = False


DEFAULT_SELECTION = Selection()


RuleGlobs = Annotated[
    tuple[str, ...],
    Parameter(metavar="GLOB", help="Rules to apply, as a glob pattern of ids; may be repeated. Default: all."),
]
RuleFiles = Annotated[
    tuple[Path, ...],
    Parameter(metavar="FILE", help="Python file with rules of your own, which is run; may be repeated."),
]


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
            help="Findings from error, warning or info on make the exit status 1; never: none do. "
            "Default: error, and never for the embedded sandbox.",
        ),
    ] = None
    mutes: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="TOML file of findings that are accepted, with reason and last day."),
    ] = None
    baseline: Annotated[
        Literal["last"] | int | None,
        Parameter(
            metavar="RUN",
            help="Only findings that this run of --db did not have make the exit status 1. "
            "last: the newest complete run.",
        ),
    ] = None
    domain_matching: Annotated[
        DomainMatching,
        Parameter(
            help="What an allowed domain stands for, if you know it: exact (its own name), subdomains (they too), or "
            "unknown (the documentation does not say: findings leave it open)."
        ),
    ] = "unknown"
    dns: Annotated[
        bool,
        Parameter(help="Also ask the DNS about allowed domains: is it registered, and does it have an address?"),
    ] = False
    resolver: Annotated[
        str | None,
        Parameter(metavar="IP[:PORT]", help="DNS resolver for --dns. Default: those of this machine."),
    ] = None


DEFAULT_FINDINGS = FindingOptions()


@Parameter(name="*", group=REPORT)
@frozen
class ReportOptions:
    """The format and the destination of the report."""

    format: Annotated[
        FormatName,
        Parameter(
            help="For people: table, markdown, html. For programs: json, csv, sarif, junit, github (annotations of a "
            "workflow), and jsonl (a line for each workspace as soon as it is read, in order of completion; without "
            "findings that concern several workspaces)."
        ),
    ] = "table"
    output: OutputPath = None
    html: Annotated[Path | None, Parameter(metavar="PATH", help="Also write an HTML report to this file.")] = None
    write_expect: Annotated[
        Path | None,
        Parameter(
            metavar="FILE",
            help="Write the list of workspaces to this TOML file, with what is allowed today as `expect`.",
        ),
    ] = None


DEFAULT_REPORT = ReportOptions()


@Parameter(name="*", group=HISTORY)
@frozen
class HistoryOptions:
    """Where runs are kept."""

    db: Annotated[
        Path | None, Parameter(metavar="PATH", help="Keep the run in this file; every row is safe once it is read.")
    ] = None
    resume: Annotated[
        bool, Parameter(help="Continue the last run of --db: read only what it has not, and what failed.")
    ] = False


DEFAULT_HISTORY = HistoryOptions()


@Parameter(name="*", group=RUN)
@frozen
class RunOptions:
    """How it runs."""

    concurrency: Annotated[
        int | None,
        Parameter(
            help="Workspaces at once. Default: 64, or as many as the workers of --engine dask have room for.",
            validator=Number(gte=1),
        ),
    ] = None
    base_url: BaseUrl = None
    quiet: Annotated[bool, Parameter(help="Print closing lines only if something failed, and no progress.")] = False
    verbose: Annotated[bool, Parameter(help="Print a line for each attempt at a request, without keys.")] = False
    dry_run: Annotated[bool, Parameter(help="List what would be audited and what it costs, and send nothing.")] = False
    max_pause: Annotated[
        float,
        Parameter(
            metavar="SECONDS",
            help="Longest wait for an API that is down, all outages together.",
            validator=Number(gte=0),
        ),
    ] = 900
    engine: Annotated[
        EngineName,
        Parameter(
            help="local: this process reads. dask: workers do, in processes of this machine, or those of --scheduler."
        ),
    ] = "local"
    scheduler: Annotated[
        str | None,
        Parameter(metavar="ADDRESS", help="Scheduler of the Dask cluster to read on: tcp://HOST:8786, tls://..."),
    ] = None

    @property
    def at_once(self) -> int:
        """Workspaces at once in one process."""
        return self.concurrency or 64


DEFAULT_RUN = RunOptions()
