"""Judges what is in the answers: their fields, the values of these, the order, the count. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from ...wire.cleaning import clean
from ...wire.message import Response
from .deviation import Deviation
from .documented import AGENT_FIELDS, DOMAINS_FIELDS, LIST_FIELDS, VALUES, moment
from .evidence import Evidence, Missing

NAMES: dict[type, str] = {list: "an array", int: "an integer", str: "a string"}


def judge_agents(evidence: Evidence) -> Iterator[Deviation]:
    """The list of agents: status, form, and every field of every agent."""
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
    """The list of domains: status, form, and nothing in it but strings."""
    document = _whole(evidence, "domains")
    if isinstance(document, Deviation):
        yield document
        return
    yield from _members(document, DOMAINS_FIELDS, "")
    domains = document.get("domains")
    if isinstance(domains, list) and not all(isinstance(each, str) for each in domains):
        yield Deviation("domains[] does not hold strings only")


def judge_values(evidence: Evidence) -> Iterator[Deviation]:
    """Each value that the documentation does not know, once."""
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
