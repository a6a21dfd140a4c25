"""Commands for the one workspace of a key: `chatloom agents`, `domains` and `call`."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TextIO
from urllib.parse import unquote

from attrs import frozen
from cyclopts import Parameter

from ..audit.formats.layout import Columns, cell
from ..endpoints.agents import Agent, AgentList
from ..wire.cleaning import clean
from ..wire.encode import escaped, json_text
from ..wire.endpoint import Endpoint
from .files import check_outputs, open_output
from .options import Access, OutputPath
from .terminal import CommandLineError, notice, terminal_style

NOT_WHOLE = 3
COLUMNS: tuple[tuple[str, Callable[[Agent], str], int], ...] = (
    ("id", lambda agent: agent.id, 0),
    ("name", lambda agent: agent.name, 0),
    ("status", lambda agent: agent.status, 60),
    ("position", lambda agent: agent.position, 72),
    ("created", lambda agent: f"{agent.created_at:%Y-%m-%d}", 84),
    ("template", lambda agent: agent.template, 96),
    ("colors", lambda agent: f"{agent.primary_color} {agent.secondary_color}", 112),
)
"""Heading, text, and the narrowest terminal that shows the column."""


async def agents(
    *,
    form: Annotated[
        Literal["table", "json", "jsonl"],
        Parameter(name="--format", metavar="FORMAT", help="table, json, or jsonl (one agent per line)."),
    ] = "table",
    output: OutputPath = None,
    access: Access = Access(),
) -> int:
    """List the agents of one workspace, newest first.

    The table has fewer columns on a narrow terminal. json and jsonl have every field.

    Exit status:
        0  done
        2  wrong usage or configuration
        3  the list is not whole: it does not match its count
        4  the API gave no answer, or an error

    Examples:
        $ chatloom agents
        $ chatloom agents --format jsonl | jq -r .id
    """
    check_outputs([("--output", output)], access.files())
    async with await access.client() as client:
        listed = await client.list_agents()
    with open_output(output, content="locale" if form == "table" else "json") as file:
        file.write(WRITERS[form](listed, file.stream))
    if listed.complete:
        return 0
    notice(f"warning: the API states {listed.count} agents, but its list has {len(listed)}, or an id twice.", "yellow")
    return NOT_WHOLE


def _table(listed: AgentList, stream: TextIO) -> str:
    style = terminal_style(stream)
    chosen = [(name, text) for name, text, least in COLUMNS if style.width is None or style.width >= least]
    table = Columns(tuple(name for name, _ in chosen), style.width, style.color)
    return table.table(tuple(cell(text(agent)) for _, text in chosen) for agent in listed)


def _json(listed: AgentList, _: TextIO) -> str:
    return json_text(listed.to_dict(python_names=True), indent=True) + "\n"


WRITERS: dict[str, Callable[[AgentList, TextIO], str]] = {
    "table": _table,
    "json": _json,
    "jsonl": lambda listed, _: "".join(json_text(agent.to_dict(python_names=True)) + "\n" for agent in listed),
}


async def domains(
    agent_id: Annotated[str, Parameter(help="Id of an agent: `chatloom agents` lists them.")],
    /,
    *,
    form: Annotated[
        Literal["text", "json"], Parameter(name="--format", metavar="FORMAT", help="text (a domain per line) or json.")
    ] = "text",
    output: OutputPath = None,
    access: Access = Access(),
) -> int:
    """List the domains on which an agent's widget may load, oldest first.

    Exit status:
        0  done
        2  wrong usage or configuration
        4  the API gave no answer, or an error

    Examples:
        $ chatloom domains agt_abc123
    """
    check_outputs([("--output", output)], access.files())
    async with await access.client() as client:
        allowed = await client.get_allowed_domains(agent_id)
    with open_output(output, content="json" if form == "json" else "utf-8") as file:
        if form == "json":
            file.write(json_text({"agent_id": agent_id, "domains": list(allowed)}, indent=True) + "\n")
        else:
            file.write("".join(f"{clean(domain)}\n" for domain in allowed))
    if not allowed.domains:
        notice("The list is empty. The API's documentation does not say whether that means every site or none.")
    return 0


PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
PATH_HINT = "Give a path such as /api/plugin/agents, with anything unusual percent-encoded."


async def call(
    path: Annotated[str, Parameter(help="Path of an endpoint, such as /api/plugin/agents.")],
    /,
    *,
    output: OutputPath = None,
    access: Access = Access(),
) -> int:
    """Send a GET to any path of the API and print its JSON.

    The call has the retries and the rate limit of all other calls. A terminal shows the JSON indented. Otherwise, it is
    printed as the API sent it, followed by a line break.

    Exit status:
        0  done
        2  wrong usage or configuration
        4  the API gave no answer, or an error

    Examples:
        $ chatloom call /api/plugin/agents | jq .count
    """
    endpoint = get(path)
    check_outputs([("--output", output)], access.files())
    async with await access.client() as client:
        exchange = await client.exchange(endpoint)
    sent = exchange.response.body.decode(errors="backslashreplace")
    with open_output(output, content="json") as file:
        file.write(readable(exchange.value, sent) if file.stream.isatty() else sent.removesuffix("\n") + "\n")
    return 0


def readable(document: Any, sent: str) -> str:
    """The JSON as a person reads it."""
    try:
        return json_text(document, indent=True) + "\n"
    except TypeError:  # nested deeper than orjson writes, though it reads it
        return escaped(sent) + "\n"


def get(path: str) -> Endpoint[Any]:
    """The endpoint for a path below the base URL. Raises CommandLineError for a path that could lead elsewhere."""
    segments = unquote(path.partition("?")[0]).split("/")
    if not PATH.fullmatch(path) or path.startswith("//") or not {".", ".."}.isdisjoint(segments):
        raise CommandLineError(
            "The path must start with a single /, hold no . or .. between slashes, and no blank or #", hint=PATH_HINT
        )

    @frozen
    class Get(Endpoint[Any]):
        pass

    Get.path = path
    return Get()
