"""The rules for the API itself: whether it answers as its documentation says. They do not concern the workspace.

"Found a bug in the docs or an endpoint that doesn't behave the way this page describes? That's a bug."
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any, get_args, get_type_hints

import attrs

from ...wire.cleaning import clean
from ...wire.decode import read_document
from ...wire.encode import wire_name
from ...wire.fast_decode import fast_decoder
from ...wire.message import Response
from .rule import Found, rule
from .subjects import CheckedWorkspace

MAX_FIELDS = 20  # an answer with more is not that of the documented API

_decoder = cache(fast_decoder)
REPORT = "Run the audit again; if it persists, send request and response to Chatloom's support."


@rule(
    "contract-count",
    severity="info",
    why="The documentation says that `count` equals the number of agents. If it does not, agents may be missing "
    "from the list, and so from this audit.",
    fix=REPORT,
)
def contract_count(checked: CheckedWorkspace) -> Iterable[str]:
    """`count` differs from the number of agents."""
    count, listed = checked.evidence.count, len(checked.agents)
    if count is not None and count != listed:
        yield f"The list states {count} agents and holds {listed}."


@rule(
    "contract-order",
    severity="info",
    why='The documentation says "ordered by createdAt (newest first)". Programs that rely on it find another agent '
    "than the newest.",
    fix=REPORT,
)
def contract_order(checked: CheckedWorkspace) -> Iterable[str]:
    """The first two agents that are in the wrong order."""
    for newer, older in pairwise(item.agent for item in checked.agents):
        if newer.created_at < older.created_at:
            yield f"The list holds {clean(newer.id)} before {clean(older.id)}, which was created later."
            return


@rule(
    "contract-unknown-field",
    severity="info",
    why="The API's answer holds a field that was not documented when this package was released. Nothing is broken, but "
    "the audit ignores the field.",
    fix="Look the field up in the API's documentation, and update chatloom_async.",
)
def contract_unknown_field(checked: CheckedWorkspace) -> Iterable[Found]:
    """One finding for each field."""
    for path in checked.evidence.unknown_fields:
        yield Found(f"The answer holds {clean(path)}, which is not documented.", path)


def unknown_fields(response: Response, value: Any) -> tuple[str, ...]:
    """The JSON paths, such as `agents[].language`, of the answer's members that the model of `value` does not have.

    Sorted, each once, and no more than 20. `value` is what the answer was decoded to: an attrs instance of fields,
    other such classes, and tuples. The body is not read again if its number of quotes leaves no room for a member.
    """
    model: Any = type(value)
    decoder = _decoder(model)
    if decoder is not None and decoder.quotes_in(value) == response.body.count(b'"'):
        return ()
    return tuple(sorted(set(_unknown(read_document(response), model, "")))[:MAX_FIELDS])


def _unknown(document: Any, model: Any, path: str) -> Iterator[str]:
    if isinstance(document, list):
        for item in document:
            yield from _unknown(item, get_args(model)[0], f"{path}[]")
    elif isinstance(document, dict) and attrs.has(model):
        known = _members(model)
        for name, value in document.items():
            inner = f"{path}.{name}".lstrip(".")
            if name not in known:
                yield inner
            elif isinstance(value, (dict, list)):
                yield from _unknown(value, known[name], inner)


@cache
def _members(model: Any) -> dict[str, Any]:
    hints = get_type_hints(model)
    return {wire_name(field): hints[field.name] for field in attrs.fields(model)}
