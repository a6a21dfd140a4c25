"""Judges answers by what they are, not by what is in them: statuses, errors, content types, redirects. Pure."""

from collections.abc import Iterator
from typing import cast

from attrs import evolve

from ...wire.base_url import origin
from ...wire.cleaning import clean
from ...wire.decode import read_document
from ...wire.message import Response
from ...wire.status import REDIRECTS
from .deviation import Deviation
from .documented import NO_KEY_TEXT
from .evidence import Evidence, Missing


def judge_content_types(evidence: Evidence) -> Iterator[Deviation | Missing]:
    """Everything is JSON, errors too; a redirect need not be."""
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
    """401, with the one text that the documentation gives."""
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
    """The answer; a promise is judged only where its answers are there."""
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
        yield Deviation(f"not documented beside error: {clean(', '.join(more), 80)}", broken=False)
