"""Sends the requests that the contract check needs, and stores each answer by name, or why there is none.

It begins with the documented paths, fields and values.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import Factory, define, evolve, frozen

from ..wire.auth import ApiKey
from ..wire.base_url import normalize_base_url
from ..wire.decode import read_document
from ..wire.errors import ChatloomError, ConnectionLostError, DecodeError, InvalidBaseUrlError
from ..wire.message import Headers, Request, Response
from ..wire.version import USER_AGENT
from .journal import JournalTransport
from .observation import TimeLimit

NO_KEY_TEXT: Final = "API key is required. Please provide it in Authorization or X-API-Key header."
AGENTS_PATH: Final = "/api/plugin/agents"
DOMAINS_PATH: Final = "/api/plugin/agents/{agent_id}/allowed-domains"
AGENT_FIELDS: Final = frozenset(
    {"id", "name", "primaryColor", "secondaryColor", "position", "template", "status", "createdAt"}
)
LIST_FIELDS: Final[dict[str, type]] = {"agents": list, "count": int}
DOMAINS_FIELDS: Final[dict[str, type]] = {"domains": list}

HEX: Final = re.compile(r"#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
POSITIONS: Final = ("bottom-right", "bottom-left", "top-right", "top-left")


def moment(text: Any) -> datetime | None:
    """`createdAt`, "string (ISO 8601)", as an aware datetime; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else None


@frozen
class Wording:
    """The documented values of a field. `firm`: the documentation does not say "usually"."""

    fits: Callable[[Any], Any]
    words: str
    firm: bool = True


VALUES: Final[dict[str, Wording]] = {
    "position": Wording(POSITIONS.__contains__, "one of bottom-right, bottom-left, top-right, top-left", firm=False),
    "status": Wording("active".__eq__, "usually active", firm=False),
    "primaryColor": Wording(HEX.fullmatch, "a hex color"),
    "secondaryColor": Wording(HEX.fullmatch, "a hex color"),
    "createdAt": Wording(moment, "ISO 8601"),
}
"""A new position or status is a compatible addition, because clients read text: not `firm`."""


HEADERS: Final = Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
UNKNOWN_KEY: Final = ApiKey("clf_a_key_that_chatloom_doctor_made_up")
NO_KEY_AT_ALL: Final = "a_key_without_the_documented_prefix"
UNKNOWN_AGENT: Final = "agt_that_chatloom_doctor_made_up"


@frozen
class Probe:
    """A request, the name of its answer, and its purpose in words."""

    name: str
    purpose: str
    request: Request


def first_probes(address: str, key: ApiKey) -> list[Probe]:
    """The probes that need no earlier answer."""
    agents = Request("GET", address + AGENTS_PATH, HEADERS)
    other = Request("GET", address + DOMAINS_PATH.format(agent_id=UNKNOWN_AGENT), HEADERS)
    misshapen = evolve(agents, headers={**HEADERS, "Authorization": f"Bearer {NO_KEY_AT_ALL}"})
    return [
        Probe("agents", "The agents, with the key in Authorization", key.sign(agents, "bearer")),
        Probe("x-api-key", "The agents, with the key in X-API-Key", key.sign(agents, "x-api-key")),
        Probe("no key", "The agents, without a key", agents),
        Probe("unknown key", "The agents, with a made-up key", UNKNOWN_KEY.sign(agents, "bearer")),
        Probe("misshapen key", "The agents, with a key of another prefix", misshapen),
        Probe("unknown agent", "The domains of an agent that does not exist", key.sign(other, "bearer")),
    ]


def domains_probe(address: str, key: ApiKey, agent_id: str) -> Probe:
    """The second endpoint, for an agent of the workspace; `agent_id` is safe in a path."""
    asked = Request("GET", address + DOMAINS_PATH.format(agent_id=agent_id), HEADERS)
    return Probe("domains", "The domains of the first agent", key.sign(asked, "bearer"))


def redirect_probe(address: str) -> Probe | str:
    """A plain http request without a key, or why it is not sent."""
    parts = urlsplit(address)
    plain = f"http://{parts.netloc}"
    try:
        normalize_base_url(plain)
    except InvalidBaseUrlError:  # which is what plain http to any other host than a loopback one comes to
        if parts.port is not None:
            return "the base URL has a port of its own"
        return Probe("plain http", "The agents, over plain http", Request("GET", plain + AGENTS_PATH, HEADERS))
    return "the host is this machine"


SAFE_ID: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,255}")


@frozen
class Missing:
    """Why there is no answer to check. `harmless`: it does not indicate a problem."""

    reason: str
    harmless: bool = False


@define
class Evidence:
    """Answers by the name of their probe, and the JSON objects in those that succeeded."""

    answers: dict[str, Response | Missing] = Factory(dict)

    def document(self, name: str) -> dict[str, Any] | Missing:
        answer = self.answers[name]
        if isinstance(answer, Missing):
            return answer
        document = read_document(answer)
        if answer.status != 200 or isinstance(document, DecodeError) or not isinstance(document, dict):
            return Missing("the answer is not a JSON object")
        return document


async def gather_evidence(address: str, key: ApiKey, transport: JournalTransport, limit: TimeLimit) -> Evidence:
    """Sends one probe after the other. Those that the time limit cuts are recorded as missing."""
    evidence = Evidence()
    for probe in first_probes(address, key):
        evidence.answers[probe.name] = await _asked(probe, transport, limit)
    identifier = _first_agent(evidence)
    if isinstance(identifier, Missing):
        evidence.answers["domains"] = identifier
    else:
        evidence.answers["domains"] = await _asked(domains_probe(address, key, identifier), transport, limit)
    redirect = redirect_probe(address)
    if isinstance(redirect, str):
        evidence.answers["plain http"] = Missing(redirect, harmless=True)
    else:
        evidence.answers["plain http"] = await _asked(redirect, transport, limit)
    return evidence


async def _asked(probe: Probe, transport: JournalTransport, limit: TimeLimit) -> Response | Missing:
    return await limit.bound(_answer(probe, transport), Missing(f"the time limit of {limit.seconds:g} s was up"))


async def _answer(probe: Probe, transport: JournalTransport) -> Response | Missing:
    transport.purpose = probe.purpose
    outcome = await transport.send(probe.request)
    if isinstance(outcome, ConnectionLostError) and not outcome.received:  # as the client does: it may have been stale
        outcome = await transport.send(probe.request)
    if isinstance(outcome, ChatloomError):
        return Missing(outcome.message)
    if outcome.status == 429 or outcome.status >= 500:
        return Missing(f"the API answered {outcome.status}; try again later")
    return outcome


def _first_agent(evidence: Evidence) -> str | Missing:
    document = evidence.document("agents")
    if isinstance(document, Missing):
        return document
    agents = document.get("agents")
    if agents == []:
        return Missing("the workspace has no agents", harmless=True)
    identifier = agents[0].get("id") if isinstance(agents, list) and isinstance(agents[0], dict) else None
    if isinstance(identifier, str) and SAFE_ID.fullmatch(identifier):
        return identifier
    return Missing("the first agent has no id that could be asked for")
