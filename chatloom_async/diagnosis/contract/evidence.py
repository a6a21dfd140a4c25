"""Asks the questions, and keeps the answers by name, or the reason why there is none that could be judged."""

import re
from typing import Any, Final

from attrs import Factory, define, frozen

from ...wire.auth import ApiKey
from ...wire.decode import read_document
from ...wire.errors import ChatloomError, ConnectionLostError, DecodeError
from ...wire.message import Response
from ..journal import Witness
from ..time_limit import TimeLimit
from .questions import Question, domains_question, first_questions, redirect_question

SAFE_ID: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,255}")


@frozen
class Missing:
    """There is nothing to judge. `harmless` where that is no fault of anybody."""

    reason: str
    harmless: bool = False


@define
class Evidence:
    """Answers by the name of their question, and the JSON objects in those that succeeded."""

    answers: dict[str, Response | Missing] = Factory(dict)

    def document(self, name: str) -> dict[str, Any] | Missing:
        answer = self.answers[name]
        if isinstance(answer, Missing):
            return answer
        document = read_document(answer)
        if answer.status != 200 or isinstance(document, DecodeError) or not isinstance(document, dict):
            return Missing("the answer is not a JSON object")
        return document


async def gather_evidence(address: str, key: ApiKey, witness: Witness, limit: TimeLimit) -> Evidence:
    """One question after the other; what the time limit leaves out is missing."""
    evidence = Evidence()
    for question in first_questions(address, key):
        evidence.answers[question.name] = await _asked(question, witness, limit)
    identifier = _first_agent(evidence)
    if isinstance(identifier, Missing):
        evidence.answers["domains"] = identifier
    else:
        evidence.answers["domains"] = await _asked(domains_question(address, key, identifier), witness, limit)
    redirect = redirect_question(address)
    if isinstance(redirect, str):
        evidence.answers["plain http"] = Missing(redirect, harmless=True)
    else:
        evidence.answers["plain http"] = await _asked(redirect, witness, limit)
    return evidence


async def _asked(question: Question, witness: Witness, limit: TimeLimit) -> Response | Missing:
    return await limit.bound(_answer(question, witness), Missing(f"the time limit of {limit.seconds:g} s was up"))


async def _answer(question: Question, witness: Witness) -> Response | Missing:
    witness.purpose = question.purpose
    outcome = await witness.send(question.request)
    if isinstance(outcome, ConnectionLostError) and not outcome.received:  # as the client does: it may have been stale
        outcome = await witness.send(question.request)
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
