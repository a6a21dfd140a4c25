"""`chatloom domains AGENT_ID`: the allowed domains of one agent, one a line or as JSON."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from ..audit.document import json_text
from ..wire.cleaning import clean
from .access import FROM_ENVIRONMENT, Access
from .screen import notice


async def domains(
    agent_id: Annotated[str, Parameter(help="Id of an agent: `chatloom agents` lists them.")],
    /,
    *,
    form: Annotated[
        Literal["text", "json"], Parameter(name="--format", help="text (one domain a line) or json.")
    ] = "text",
    access: Access = FROM_ENVIRONMENT,
) -> int:
    """List the domains on which an agent's widget may load, oldest first.

    Example: chatloom domains agt_abc123
    """
    async with await access.client() as client:
        allowed = await client.get_allowed_domains(agent_id)
    if form == "json":
        sys.stdout.write(json_text({"agent_id": agent_id, "domains": list(allowed)}, indent=True) + "\n")
    else:
        sys.stdout.writelines(f"{clean(domain)}\n" for domain in allowed)
    if not allowed.domains:
        notice("The list is empty. The API's documentation does not say whether that means every site or none.")
    return 0
