"""Checks whether the API still does what its documentation says: statuses, errors, fields, values, order and count.

It sends some requests and stores each answer by name, or why there is none; `CHECKS` are pure functions over these
answers. Written from the documentation, not from the client's models.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, cast
from urllib.parse import urlsplit

from attrs import Factory, define, evolve, frozen

from ..wire.auth import ApiKey
from ..wire.base_url import normalize_base_url, origin
from ..wire.cleaning import clean
from ..wire.decode import read_document
from ..wire.errors import ConnectionLostError, InvalidBaseUrlError, TransportError
from ..wire.message import Headers, Request, Response
from ..wire.status import REDIRECTS
from ..wire.version import USER_AGENT
from .journal import JournalTransport
from .observation import Observation, TimeLimit, ok, skipped, warning, wrong

AGENTS_PATH: Final = "/api/plugin/agents"
DOMAINS_PATH: Final = "/api/plugin/agents/{agent_id}/allowed-domains"
LIST_FIELDS: Final[dict[str, type]] = {"agents": list, "count": int}
AGENT_FIELDS: Final[dict[str, type]] = dict.fromkeys(
    ("id", "name", "primaryColor", "secondaryColor", "position", "template", "status", "createdAt"), str
)
DOMAINS_FIELDS: Final[dict[str, type]] = {"domains": list}
TYPE_NAMES: Final[dict[type, str]] = {list: "an array", int: "an integer", str: "a string"}
NO_KEY_TEXT: Final = "API key is required. Please provide it in Authorization or X-API-Key header."

HEX: Final = re.compile(r"#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
POSITIONS: Final = ("bottom-right", "bottom-left", "top-right", "top-left")


def moment(text: Any) -> datetime | None:
    """`createdAt`, "string (ISO 8601)", as an aware datetime; None for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return when if when.tzinfo else None


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
MISSHAPEN: Final = Headers({**HEADERS, "Authorization": "Bearer a_key_without_the_documented_prefix"})
UNKNOWN_AGENT: Final = "agt_that_chatloom_doctor_made_up"
SAFE_ID: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,255}")


@frozen
class Missing:
    """Why there is no answer to check. `harmless`: it does not indicate a problem."""

    reason: str
    harmless: bool = False


@define
class Evidence:
    """Answers by name, and the JSON objects in those that succeeded."""

    answers: dict[str, Response | Missing] = Factory(dict)

    def answer(self, name: str) -> Response:
        """The answer; a check runs only if its answers are there."""
        return cast("Response", self.answers[name])

    def document(self, name: str) -> dict[str, Any] | Missing:
        answer = self.answers[name]
        if isinstance(answer, Missing):
            return answer
        document = read_document(answer)
        if answer.status != 200 or not isinstance(document, dict):
            return Missing("the answer is not a JSON object")
        return document

    @property
    def agents(self) -> list[dict[str, Any]]:
        """The agents on the list that are JSON objects."""
        return [agent for agent in _list_of(self.document("agents")) if isinstance(agent, dict)]


def _list_of(document: dict[str, Any] | Missing) -> list[Any]:
    agents = None if isinstance(document, Missing) else document.get("agents")
    return agents if isinstance(agents, list) else []


async def gather_evidence(address: str, key: ApiKey, transport: JournalTransport, limit: TimeLimit) -> Evidence:
    """Sends one request after the other. Those that the time limit cuts are recorded as missing."""
    evidence = Evidence()

    async def ask(name: str, purpose: str, request: Request | Missing) -> None:
        transport.purpose = purpose
        late = Missing(f"the time limit of {limit.seconds:g} s was up")
        evidence.answers[name] = await limit.bound(_answer(transport, request), late)

    agents = Request("GET", address + AGENTS_PATH, HEADERS)
    await ask("agents", "The agents, with the key in Authorization", key.sign(agents, "bearer"))
    await ask("x-api-key", "The agents, with the key in X-API-Key", key.sign(agents, "x-api-key"))
    await ask("no key", "The agents, without a key", agents)
    await ask("unknown key", "The agents, with a made-up key", UNKNOWN_KEY.sign(agents, "bearer"))
    await ask("misshapen key", "The agents, with a key of another prefix", evolve(agents, headers=MISSHAPEN))
    unknown = Request("GET", address + DOMAINS_PATH.format(agent_id=UNKNOWN_AGENT), HEADERS)
    await ask("unknown agent", "The domains of an agent that does not exist", key.sign(unknown, "bearer"))
    await ask("domains", "The domains of the first agent", _first_domains(address, key, evidence))
    await ask("plain http", "The agents, over plain http", _plain_http(address))
    return evidence


async def _answer(transport: JournalTransport, request: Request | Missing) -> Response | Missing:
    if isinstance(request, Missing):
        return request
    outcome = await transport.send(request)
    if isinstance(outcome, ConnectionLostError) and not outcome.received:  # as the client does: it may have been stale
        outcome = await transport.send(request)
    if isinstance(outcome, TransportError):
        return Missing(outcome.message)
    if outcome.status == 429 or outcome.status >= 500:
        return Missing(f"the API answered {outcome.status}; try again later")
    return outcome


def _first_domains(address: str, key: ApiKey, evidence: Evidence) -> Request | Missing:
    """A request for the domains of the first agent, if its id is safe in a path."""
    document = evidence.document("agents")
    if isinstance(document, Missing):
        return document
    if document.get("agents") == []:
        return Missing("the workspace has no agents", harmless=True)
    first = next(iter(_list_of(document)), None)
    agent_id = first.get("id") if isinstance(first, dict) else None
    if isinstance(agent_id, str) and SAFE_ID.fullmatch(agent_id):
        return key.sign(Request("GET", address + DOMAINS_PATH.format(agent_id=agent_id), HEADERS), "bearer")
    return Missing("the first agent has no id that could be asked for")


def _plain_http(address: str) -> Request | Missing:
    """A request over plain http without a key, or why it is not sent."""
    parts = urlsplit(address)
    plain = f"http://{parts.netloc}"
    try:
        normalize_base_url(plain)
    except InvalidBaseUrlError:  # plain http is accepted for loopback hosts only
        if parts.port is not None:
            return Missing("the base URL has a port of its own", harmless=True)
        return Request("GET", plain + AGENTS_PATH, HEADERS)
    return Missing("the host is this machine", harmless=True)


@frozen
class Deviation:
    """`broken`: the API contradicts its documentation. Otherwise it sends more than documented, which is compatible."""

    text: str
    broken: bool = True


Judge = Callable[[Evidence], Iterable[Deviation | Missing]]


def judge_agents(evidence: Evidence) -> Iterator[Deviation]:
    """Checks the list of agents: status, shape, and every field of every agent."""
    yield from _object(evidence, "agents", LIST_FIELDS)
    counts = Counter(deviation for agent in evidence.agents for deviation in _members(agent, AGENT_FIELDS, "agents[]."))
    for deviation, times in counts.items():
        yield evolve(deviation, text=f"{deviation.text}{_share(times, evidence)}")


def judge_domains(evidence: Evidence) -> Iterator[Deviation]:
    """Checks the list of domains: status, shape, and that every item is a string."""
    yield from _object(evidence, "domains", DOMAINS_FIELDS)
    document = evidence.document("domains")
    domains = None if isinstance(document, Missing) else document.get("domains")
    if isinstance(domains, list) and not all(isinstance(domain, str) for domain in domains):
        yield Deviation("domains[] does not hold strings only")


def judge_values(evidence: Evidence) -> Iterator[Deviation]:
    """Reports each undocumented value once."""
    for name, wording in VALUES.items():
        values = (agent.get(name) for agent in evidence.agents)
        counts = Counter(value for value in values if isinstance(value, str) and not wording.fits(value))
        for value, times in counts.items():
            text = f"agents[].{name} is {clean(value, 60)!r}, documented is {wording.words!r}"
            yield Deviation(f"{text}{_share(times, evidence)}", wording.firm)


def judge_order(evidence: Evidence) -> Iterator[Deviation | Missing]:
    """The first two agents that are not "ordered by createdAt (newest first)"."""
    dated = [
        (clean(str(agent.get("id")), 80), created)
        for agent in evidence.agents
        if (created := moment(agent.get("createdAt")))
    ]
    if len(dated) < 2:
        yield Missing("fewer than two agents", harmless=True)
    for (newer, at), (older, then) in pairwise(dated):
        if at < then:
            yield Deviation(f"{newer} comes before {older}, which was created later")
            return


def judge_count(evidence: Evidence) -> Iterator[Deviation]:
    """`count` is the "total number of agents in the response (same as agents.length)"."""
    document = cast("dict[str, Any]", evidence.document("agents"))
    count, length = document.get("count"), len(_list_of(document))
    if count != length:
        yield Deviation(f"count is {count!r}, but the list has {length}")


def judge_content_types(evidence: Evidence) -> Iterator[Deviation | Missing]:
    """Every answer is JSON, including errors. Redirects are exempt."""
    answers = [(name, answer) for name, answer in evidence.answers.items() if isinstance(answer, Response)]
    if not answers:
        yield Missing("there is no answer")
    for name, answer in answers:
        given = answer.headers.get("content-type", "")
        if name != "plain http" and given.partition(";")[0].strip().lower() != "application/json":
            yield Deviation(f"{clean(given, 80)!r} where the question was: {name}")


def judge_both_headers(evidence: Evidence) -> Iterator[Deviation]:
    """Of the two headers: "Both work identically; pick whichever fits your client best"."""
    bearer, other = evidence.answer("agents"), evidence.answer("x-api-key")
    if bearer.status != other.status:
        yield Deviation(f"HTTP {bearer.status} for Authorization, {other.status} for X-API-Key")
    elif read_document(bearer) != read_document(other):
        yield Deviation("the lists differ; it may have changed between the two requests: try again")


def judge_redirect(evidence: Evidence) -> Iterator[Deviation]:
    """As documented, "plain http:// requests are redirected"."""
    answer = evidence.answer("plain http")
    if answer.status not in REDIRECTS:
        yield Deviation(f"plain http is answered with HTTP {answer.status}, not redirected")
    elif not (target := origin(answer.headers.get("location", ""))).startswith("https://"):
        yield Deviation(f"plain http is redirected to {target}, which is not https")


def errors_are(status: int, *names: str, text: str | None = None) -> Judge:
    """Judges errors, which are "JSON with an error field and an appropriate HTTP status code"."""

    def judge(evidence: Evidence) -> Iterator[Deviation]:
        for name in names:
            prefix = f"{name}: " if len(names) > 1 else ""
            answer = evidence.answer(name)
            document = read_document(answer)
            if answer.status != status:
                yield Deviation(f"{prefix}HTTP {answer.status}, documented is {status}")
            elif not isinstance(document, dict) or not isinstance(document.get("error"), str):
                yield Deviation(f'{prefix}the answer is not of the form {{"error": "..."}}')
            elif text and document["error"] != text:
                yield Deviation(f"{prefix}the text is {clean(document['error'], 200)!r}, documented is {text!r}")
            elif more := sorted(document.keys() - {"error"}):
                yield Deviation(f"{prefix}undocumented members next to error: {clean(', '.join(more), 80)}", False)

    return judge


def _object(evidence: Evidence, name: str, fields: Mapping[str, type]) -> Iterator[Deviation]:
    """Checks that the answer is a 200 with a JSON object of these fields."""
    document, status = evidence.document(name), evidence.answer(name).status
    if status != 200:
        yield Deviation(f"HTTP {status}, documented is 200")
    elif isinstance(document, Missing):
        yield Deviation(document.reason)
    else:
        yield from _members(document, fields, "")


def _members(document: Mapping[str, Any], fields: Mapping[str, type], path: str) -> Iterator[Deviation]:
    for name in sorted(fields.keys() - document.keys()):
        yield Deviation(f"{path}{name} is missing")
    for name, value in document.items():
        if name not in fields:
            yield Deviation(f"{path}{clean(name, 60)} is not documented", broken=False)
        elif type(value) is not fields[name]:
            yield Deviation(f"{path}{name} is not {TYPE_NAMES[fields[name]]}")


def _share(times: int, evidence: Evidence) -> str:
    count = len(evidence.agents)
    return f" (in {times} of {count} agents)" if count > 1 else ""


@frozen
class ContractCheck:
    """One statement of the documentation: `passed` states it in the report, the rest is the evidence that it needs."""

    subject: str
    passed: str
    judge: Judge
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


BAD_KEYS: Final = ("unknown key", "misshapen key")
CHECKS: Final = (
    ContractCheck("agents", "every documented field, and no other", judge_agents, ("agents",)),
    ContractCheck("values", "position, status, colors and createdAt are as documented", judge_values, (), ("agents",)),
    ContractCheck("order", "newest first", judge_order, (), ("agents",)),
    ContractCheck("count", "the number of agents in the list", judge_count, (), ("agents",)),
    ContractCheck("domains", "every documented field, and no other", judge_domains, ("domains",)),
    ContractCheck(
        "both headers", "Authorization and X-API-Key get the same answer", judge_both_headers, ("agents", "x-api-key")
    ),
    ContractCheck("no key", "401 with the documented text", errors_are(401, "no key", text=NO_KEY_TEXT), ("no key",)),
    ContractCheck("bad key", "401 with an error, unknown or misshapen", errors_are(401, *BAD_KEYS), BAD_KEYS),
    ContractCheck("unknown agent", "404 with an error", errors_are(404, "unknown agent"), ("unknown agent",)),
    ContractCheck("content type", "application/json, errors too", judge_content_types),
    ContractCheck("plain http", "redirected to https", judge_redirect, ("plain http",)),
)


async def check_contract(address: str, key: ApiKey, transport: JournalTransport, limit: TimeLimit) -> list[Observation]:
    """Sends about eight requests, one after the other, and checks the answers."""
    evidence = await gather_evidence(address, key, transport, limit)
    observations = (observation for check in CHECKS for observation in judged(check, evidence))
    return [evolve(observation, chapter="contract") for observation in observations]


def judged(check: ContractCheck, evidence: Evidence) -> Iterator[Observation]:
    """One line if the check passes or cannot be judged, else one for each deviation."""
    needed = [evidence.answers[name] for name in check.answers]
    needed += [evidence.document(name) for name in check.documents]  # type: ignore[misc]
    missing = [item for item in needed if isinstance(item, Missing)]
    results: Sequence[Deviation | Missing] = missing[:1] or list(check.judge(evidence))
    if not results:
        yield ok(check.subject, check.passed)
    for result in results:
        if isinstance(result, Missing):
            yield (skipped if result.harmless else warning)(check.subject, f"not judged: {result.reason}")
        else:
            yield (wrong if result.broken else warning)(check.subject, result.text)
