"""Checks whether the API still does what its documentation says: statuses, errors, fields, values, order and count.

Pure functions over the evidence. Written from the documentation, not from the client's models.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, cast

from attrs import evolve, frozen

from ..wire.auth import ApiKey
from ..wire.base_url import origin
from ..wire.cleaning import clean
from ..wire.decode import read_document
from ..wire.message import Response
from ..wire.status import REDIRECTS
from .evidence import (
    AGENT_FIELDS,
    DOMAINS_FIELDS,
    LIST_FIELDS,
    NO_KEY_TEXT,
    VALUES,
    Evidence,
    Missing,
    gather_evidence,
    moment,
)
from .journal import JournalTransport
from .observation import Observation, TimeLimit, ok, skipped, warning, wrong


@frozen
class Deviation:
    """`broken`: the API contradicts its documentation. Otherwise it sends more than documented, which is compatible."""

    text: str
    broken: bool = True


NAMES: dict[type, str] = {list: "an array", int: "an integer", str: "a string"}


def judge_agents(evidence: Evidence) -> Iterator[Deviation]:
    """Checks the list of agents: status, shape, and every field of every agent."""
    document = _whole(evidence, "agents")
    if isinstance(document, Deviation):
        yield document
        return
    yield from _members(document, LIST_FIELDS, "")
    found: Counter[Deviation] = Counter()
    agents = _agents(document)
    for agent in agents:
        found.update(_members(agent, dict.fromkeys(AGENT_FIELDS, str), "agents[]."))
    for deviation, times in found.items():
        yield Deviation(f"{deviation.text}{_share(times, len(agents))}", deviation.broken)


def judge_domains(evidence: Evidence) -> Iterator[Deviation]:
    """Checks the list of domains: status, shape, and that every item is a string."""
    document = _whole(evidence, "domains")
    if isinstance(document, Deviation):
        yield document
        return
    yield from _members(document, DOMAINS_FIELDS, "")
    domains = document.get("domains")
    if isinstance(domains, list) and not all(isinstance(each, str) for each in domains):
        yield Deviation("domains[] does not hold strings only")


def judge_values(evidence: Evidence) -> Iterator[Deviation]:
    """Reports each undocumented value once."""
    agents = _agents(evidence.document("agents"))
    for name, wording in VALUES.items():
        strange = Counter(
            agent[name] for agent in agents if isinstance(agent.get(name), str) and not wording.fits(agent[name])
        )
        for value, times in strange.items():
            text = f"agents[].{name} is {clean(value, 60)!r}, documented is {wording.words!r}"
            yield Deviation(f"{text}{_share(times, len(agents))}", wording.firm)


def judge_order(evidence: Evidence) -> Iterator[Deviation | Missing]:
    """The first two agents that are not "ordered by createdAt (newest first)"."""
    agents = _agents(evidence.document("agents"))
    dated = [(clean(str(agent.get("id")), 80), found) for agent in agents if (found := moment(agent.get("createdAt")))]
    if len(dated) < 2:
        yield Missing("fewer than two agents", harmless=True)
    for (newer, at), (older, then) in pairwise(dated):
        if at < then:
            yield Deviation(f"{newer} comes before {older}, which was created later")
            return


def judge_count(evidence: Evidence) -> Iterator[Deviation]:
    """`count` is the "total number of agents in the response (same as agents.length)"."""
    document = evidence.document("agents")
    count, length = (None, 0) if isinstance(document, Missing) else (document.get("count"), len(_listed(document)))
    if count != length:
        yield Deviation(f"count is {count!r}, but the list has {length}")


def _whole(evidence: Evidence, name: str) -> dict[str, Any] | Deviation:
    answer, document = evidence.answers[name], evidence.document(name)
    if isinstance(answer, Response) and answer.status != 200:
        return Deviation(f"HTTP {answer.status}, documented is 200")
    return Deviation("the answer is not a JSON object") if isinstance(document, Missing) else document


def _agents(document: dict[str, Any] | Missing) -> list[dict[str, Any]]:
    return [] if isinstance(document, Missing) else [each for each in _listed(document) if isinstance(each, dict)]


def _listed(document: dict[str, Any]) -> list[Any]:
    agents = document.get("agents")
    return agents if isinstance(agents, list) else []


def _members(document: Mapping[str, Any], documented: Mapping[str, type], place: str) -> Iterator[Deviation]:
    for name in sorted(documented.keys() - document.keys()):
        yield Deviation(f"{place}{name} is missing")
    for name, value in document.items():
        if name not in documented:
            yield Deviation(f"{place}{clean(name, 60)} is not documented", broken=False)
        elif type(value) is not documented[name]:
            yield Deviation(f"{place}{name} is not {NAMES[documented[name]]}")


def _share(times: int, of: int) -> str:
    return f" (in {times} of {of} agents)" if of > 1 else ""


def judge_content_types(evidence: Evidence) -> Iterator[Deviation | Missing]:
    """Every answer is JSON, including errors. Redirects are exempt."""
    answers = {
        name: each for name, each in evidence.answers.items() if isinstance(each, Response) and name != "plain http"
    }
    if not answers:
        yield Missing("there is no answer")
    for name, answer in answers.items():
        given = answer.headers.get("content-type", "")
        if given.partition(";")[0].strip().lower() != "application/json":
            yield Deviation(f"{clean(given, 80)!r} where the question was: {name}")


def judge_no_key(evidence: Evidence) -> Iterator[Deviation]:
    """401 with the documented text."""
    yield from _error(evidence, "no key", 401, NO_KEY_TEXT)


def judge_bad_key(evidence: Evidence) -> Iterator[Deviation]:
    """401 where "the key is invalid, expired, or malformed (wrong prefix)"."""
    for name in ("unknown key", "misshapen key"):
        for deviation in _error(evidence, name, 401):
            yield evolve(deviation, text=f"{name}: {deviation.text}")


def judge_unknown_agent(evidence: Evidence) -> Iterator[Deviation]:
    """As documented, "requesting an agent you don't own returns 404"."""
    yield from _error(evidence, "unknown agent", 404)


def judge_both_headers(evidence: Evidence) -> Iterator[Deviation]:
    """Of the two headers: "Both work identically; pick whichever fits your client best"."""
    bearer, other = _answer(evidence, "agents"), _answer(evidence, "x-api-key")
    if bearer.status != other.status:
        yield Deviation(f"HTTP {bearer.status} for Authorization, {other.status} for X-API-Key")
    elif read_document(bearer) != read_document(other):
        yield Deviation("the lists differ; it may have changed between the two requests: try again")


def judge_redirect(evidence: Evidence) -> Iterator[Deviation]:
    """As documented, "plain http:// requests are redirected"."""
    answer = _answer(evidence, "plain http")
    if answer.status not in REDIRECTS:
        yield Deviation(f"plain http is answered with HTTP {answer.status}, not redirected")
    elif not (target := origin(answer.headers.get("location", ""))).startswith("https://"):
        yield Deviation(f"plain http is redirected to {target}, which is not https")


def _answer(evidence: Evidence, name: str) -> Response:
    """The answer; a check runs only if its answers are there."""
    return cast("Response", evidence.answers[name])


def _error(evidence: Evidence, name: str, status: int, text: str | None = None) -> Iterator[Deviation]:
    """The form of errors: "JSON with an error field and an appropriate HTTP status code"."""
    answer = _answer(evidence, name)
    document = read_document(answer)
    if answer.status != status:
        yield Deviation(f"HTTP {answer.status}, documented is {status}")
    elif not isinstance(document, dict) or not isinstance(document.get("error"), str):
        yield Deviation('the answer is not of the form {"error": "..."}')
    elif text and document["error"] != text:
        yield Deviation(f"the text is {clean(document['error'], 200)!r}, documented is {text!r}")
    elif more := sorted(document.keys() - {"error"}):
        yield Deviation(f"undocumented members next to error: {clean(', '.join(more), 80)}", broken=False)


@frozen
class ContractCheck:
    """One statement of the documentation: `passed` states it in the report, the rest is the evidence that it needs."""

    subject: str
    passed: str
    judge: Callable[[Evidence], Iterable[Deviation | Missing]]
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


CHECKS: Final = (
    ContractCheck("agents", "every documented field, and no other", judge_agents, ("agents",)),
    ContractCheck("values", "position, status, colors and createdAt are as documented", judge_values, (), ("agents",)),
    ContractCheck("order", "newest first", judge_order, (), ("agents",)),
    ContractCheck("count", "the number of agents in the list", judge_count, (), ("agents",)),
    ContractCheck("domains", "every documented field, and no other", judge_domains, ("domains",)),
    ContractCheck(
        "both headers", "Authorization and X-API-Key get the same answer", judge_both_headers, ("agents", "x-api-key")
    ),
    ContractCheck("no key", "401 with the documented text", judge_no_key, ("no key",)),
    ContractCheck(
        "bad key", "401 with an error, unknown or misshapen", judge_bad_key, ("unknown key", "misshapen key")
    ),
    ContractCheck("unknown agent", "404 with an error", judge_unknown_agent, ("unknown agent",)),
    ContractCheck("content type", "application/json, errors too", judge_content_types),
    ContractCheck("plain http", "redirected to https", judge_redirect, ("plain http",)),
)


async def check_contract(address: str, key: ApiKey, transport: JournalTransport, limit: TimeLimit) -> list[Observation]:
    """Sends about eight requests, one after the other, and checks the answers."""
    evidence = await gather_evidence(address, key, transport, limit)
    told = (each for check in CHECKS for each in judged(check, evidence))
    return [evolve(each, chapter="contract") for each in told]


def judged(check: ContractCheck, evidence: Evidence) -> Iterator[Observation]:
    """One line if the check passes or cannot be judged, else one for each deviation."""
    needed = [evidence.answers[name] for name in check.answers]
    needed += [evidence.document(name) for name in check.documents]  # type: ignore[misc]
    missing = [each for each in needed if isinstance(each, Missing)]
    found: Sequence[Deviation | Missing] = missing[:1] or list(check.judge(evidence))
    if not found:
        yield ok(check.subject, check.passed)
    for each in found:
        if isinstance(each, Missing):
            say = skipped if each.harmless else warning
            yield say(check.subject, f"not judged: {each.reason}")
        else:
            yield (wrong if each.broken else warning)(check.subject, each.text)
