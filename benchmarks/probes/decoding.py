"""What strict typed decoding costs, beside parsing the same JSON without any checks."""

import json
from functools import partial

import orjson

from chatloom_async import AgentList, Response
from chatloom_async.wire.decode import decode

from ..answers import agents, body
from ..timing import in_turns, medians

COUNTS = {10: 200, 1_000: 4}  # agents: calls in a batch


def measure() -> dict[str, float]:
    """Microseconds for ten and for a thousand agents."""
    numbers: dict[str, float] = {}
    for count, batch in COUNTS.items():
        text = body(agents(count))
        response = Response(200, {"content-type": "application/json"}, text)
        pieces = {
            f"{count:,} agents, us": partial(decode, response, AgentList),
            f"{count:,} agents by orjson.loads, us": partial(orjson.loads, text),
            f"{count:,} agents by json.loads, us": partial(json.loads, text),
        }
        numbers |= medians(in_turns(pieces, batch=batch, rounds=15))
    return numbers
