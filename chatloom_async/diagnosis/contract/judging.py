"""Says of each promise of the documentation whether it is kept: one line for it, or one for each deviation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import evolve, frozen

from ...wire.auth import ApiKey
from ..journal import Witness
from ..observation import Observation, ok, skipped, warning, wrong
from ..time_limit import TimeLimit
from .deviation import Deviation
from .evidence import Evidence, Missing, gather_evidence
from .fields import judge_agents, judge_count, judge_domains, judge_order, judge_values
from .statuses import (
    judge_bad_key,
    judge_both_headers,
    judge_content_types,
    judge_no_key,
    judge_redirect,
    judge_unknown_agent,
)


@frozen
class Promise:
    """What to call it, what to say where it is kept, and the answers and documents without which it is not judged."""

    subject: str
    kept: str
    judge: Callable[[Evidence], Iterable[Deviation | Missing]]
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


PROMISES: Final = (
    Promise("agents", "every documented field, and no other", judge_agents, ("agents",)),
    Promise("values", "position, status, colors and createdAt are as documented", judge_values, (), ("agents",)),
    Promise("order", "newest first", judge_order, (), ("agents",)),
    Promise("count", "the number of agents in the list", judge_count, (), ("agents",)),
    Promise("domains", "every documented field, and no other", judge_domains, ("domains",)),
    Promise(
        "both headers", "Authorization and X-API-Key get the same answer", judge_both_headers, ("agents", "x-api-key")
    ),
    Promise("no key", "401 with the documented text", judge_no_key, ("no key",)),
    Promise("bad key", "401 with an error, unknown or misshapen", judge_bad_key, ("unknown key", "misshapen key")),
    Promise("unknown agent", "404 with an error", judge_unknown_agent, ("unknown agent",)),
    Promise("content type", "application/json, errors too", judge_content_types),
    Promise("plain http", "redirected to https", judge_redirect, ("plain http",)),
)


async def examine_contract(address: str, key: ApiKey, witness: Witness, limit: TimeLimit) -> list[Observation]:
    """Asks some eight questions, one after the other, and judges the answers."""
    evidence = await gather_evidence(address, key, witness, limit)
    told = (each for promise in PROMISES for each in judged(promise, evidence))
    return [evolve(each, chapter="contract") for each in told]


def judged(promise: Promise, evidence: Evidence) -> Iterator[Observation]:
    """One line where the promise is kept or cannot be judged, else one for each deviation."""
    needed = [evidence.answers[name] for name in promise.answers]
    needed += [evidence.document(name) for name in promise.documents]  # type: ignore[misc]
    missing = [each for each in needed if isinstance(each, Missing)]
    found: Sequence[Deviation | Missing] = missing[:1] or list(promise.judge(evidence))
    if not found:
        yield ok(promise.subject, promise.kept)
    for each in found:
        if isinstance(each, Missing):
            say = skipped if each.harmless else warning
            yield say(promise.subject, f"not judged: {each.reason}")
        else:
            yield (wrong if each.broken else warning)(promise.subject, each.text)
