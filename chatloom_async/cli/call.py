"""`chatloom call PATH`: a GET to any path of the API, for what this package does not know yet. Prints its JSON."""

import re
from typing import Annotated, Any
from urllib.parse import unquote

from attrs import frozen
from cyclopts import Parameter

from ..audit.document import escaped, json_text
from ..wire.endpoint import Endpoint
from .access import FROM_ENVIRONMENT, Access
from .files import OutputPath, check_outputs, open_output
from .terminal import CommandLineError

PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")


PATH_HINT = "Give a path such as /api/plugin/agents, with anything unusual percent-encoded."


async def call(
    path: Annotated[str, Parameter(help="Path from the API's documentation, such as /api/plugin/agents.")],
    /,
    *,
    output: OutputPath = None,
    access: Access = FROM_ENVIRONMENT,
) -> int:
    """Send a GET to any path of the API and print its JSON.

    Retries, rate limit and errors are as everywhere. On a terminal the JSON is indented, elsewhere it is
    what the API sent, and a line break after it.

    Example: chatloom call /api/plugin/agents | jq .count
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
    """The JSON that was sent, for a person."""
    try:
        return json_text(document, indent=True) + "\n"
    except TypeError:  # nested deeper than orjson writes, though it reads it
        return escaped(sent) + "\n"


def get(path: str) -> Endpoint[Any]:
    """The endpoint for a path that leads where it seems to, below the base URL. Raises CommandLineError."""
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
