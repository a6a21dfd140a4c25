"""The requests that the contract is judged by, in their order. Sends nothing."""

from typing import Final
from urllib.parse import urlsplit

from attrs import evolve, frozen

from ...wire.auth import ApiKey, sign
from ...wire.base_url import normalize_base_url
from ...wire.errors import InvalidBaseUrlError
from ...wire.message import Headers, Request
from ...wire.version import USER_AGENT
from .documented import AGENTS_PATH, DOMAINS_PATH

HEADERS: Final = Headers({"Accept": "application/json", "User-Agent": USER_AGENT})
UNKNOWN_KEY: Final = ApiKey("clf_a_key_that_chatloom_doctor_made_up")
NO_KEY_AT_ALL: Final = "a_key_without_the_documented_prefix"
UNKNOWN_AGENT: Final = "agt_that_chatloom_doctor_made_up"


@frozen
class Question:
    """A request, the name that its answer goes by, and what it is for, in words."""

    name: str
    purpose: str
    request: Request


def first_questions(address: str, key: ApiKey) -> list[Question]:
    """Everything that can be asked without knowing any answer."""
    agents = Request("GET", address + AGENTS_PATH, HEADERS)
    other = Request("GET", address + DOMAINS_PATH.format(agent_id=UNKNOWN_AGENT), HEADERS)
    misshapen = evolve(agents, headers={**HEADERS, "Authorization": f"Bearer {NO_KEY_AT_ALL}"})
    return [
        Question("agents", "The agents, with the key in Authorization", sign(agents, key, "bearer")),
        Question("x-api-key", "The agents, with the key in X-API-Key", sign(agents, key, "x-api-key")),
        Question("no key", "The agents, without a key", agents),
        Question("unknown key", "The agents, with a made-up key", sign(agents, UNKNOWN_KEY, "bearer")),
        Question("misshapen key", "The agents, with a key of another prefix", misshapen),
        Question("unknown agent", "The domains of an agent that does not exist", sign(other, key, "bearer")),
    ]


def domains_question(address: str, key: ApiKey, agent_id: str) -> Question:
    """The second endpoint, for an agent of the workspace; `agent_id` is safe in a path."""
    asked = Request("GET", address + DOMAINS_PATH.format(agent_id=agent_id), HEADERS)
    return Question("domains", "The domains of the first agent", sign(asked, key, "bearer"))


def redirect_question(address: str) -> Question | str:
    """Plain http, without a key; or why that is not asked."""
    parts = urlsplit(address)
    plain = f"http://{parts.netloc}"
    try:
        normalize_base_url(plain)
    except InvalidBaseUrlError:  # which is what plain http to any other host than a loopback one comes to
        if parts.port is not None:
            return "the base URL has a port of its own"
        return Question("plain http", "The agents, over plain http", Request("GET", plain + AGENTS_PATH, HEADERS))
    return "the host is this machine"
