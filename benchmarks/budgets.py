"""What this package promises about its cost (section 12 of its design), each with how it follows from the results."""

from collections.abc import Callable
from typing import Literal

from attrs import frozen

from .arms import JSON, OURS, RAW, SDKS
from .probes.names import FORMATS
from .results import Results

ASYNCIO, UVLOOP, AT = "calls on asyncio", "calls on uvloop", "32"
AUDIT, REPORT, START = "audit", "report on 20,000", "start of the program"

Value = Callable[[Results], float | None]


@frozen
class Budget:
    """A promise: `value` of the results is at most, or at least, `limit`."""

    what: str
    value: Value
    limit: float
    unit: str = "x"
    side: Literal["<=", ">="] = "<="

    def verdict(self, results: Results) -> str:
        value = self.value(results)
        if value is None:
            return "not measured"
        met = value <= self.limit if self.side == "<=" else value >= self.limit
        return "met" if met else "NOT met"


def _against(other: str, *, one: str = OURS, group: str = ASYNCIO, metric: str = AT) -> Value:
    return lambda results: results.ratio(group, one, other, metric)


def _of(group: str, metric: str, subject: str = OURS) -> Value:
    return lambda results: results.median(group, subject, metric)


def _best_sdk(results: Results) -> float | None:
    ratios = [results.ratio(ASYNCIO, OURS, sdk, AT) for sdk in SDKS]
    return max((ratio for ratio in ratios if ratio is not None), default=None)


def _longest_stall(results: Results) -> float | None:
    stalls = [_of(REPORT, "longest stall, ms", name)(results) for name in FORMATS]
    return max((stall for stall in stalls if stall is not None), default=None)


BUDGETS = (
    Budget("default client : raw aiohttp that reads the bytes", _against(RAW), 1.20),
    Budget("default client : aiohttp + json()", _against(JSON), 1.0),
    Budget("the same on uvloop", _against(RAW, group=UVLOOP), 1.0),
    Budget("default client : best peer SDK", _best_sdk, 0.60),
    Budget("retry machinery on a call that succeeds", _of("retry", "retry machinery, us"), 0.5, "us"),
    Budget("decode ten agents", _of("decode", "10 agents, us"), 10, "us"),
    Budget("import of the client : of aiohttp, wall", _against("aiohttp", group="import", metric="wall, ms"), 0.6),
    Budget("the same by CPU", _against("aiohttp", group="import", metric="CPU, ms"), 0.6),
    Budget("with_key()", _of("one more key", "time, us"), 5, "us"),
    Budget("with_key(), memory", _of("one more key", "memory, bytes"), 1536, "bytes"),
    Budget(
        "fan_out throughput : bare pool of 64, wall",
        _against("bare pool", one="fan_out, one key", group="fan-out", metric="requests/s"),
        0.8,
        side=">=",
    ),
    Budget(
        "the same by CPU, fan_out : bare pool",  # the one to trust on a machine that others use
        _against("bare pool", one="fan_out, one key", group="fan-out", metric="CPU, us"),
        1.25,
    ),
    Budget(
        "fan_out memory growth, 200 to 20,000 workspaces",
        _of("fan-out memory", "growth 200 to 20,000, MB", "fan_out, a key each"),
        5,
        "MB",
    ),
    Budget("TLS handshakes per key, 100 calls in a row", _of("TLS", "handshakes per key"), 1, ""),
    Budget(
        "audit with a database : its calls in series", _of(AUDIT, "audit with a database : calls", "plain HTTP"), 1.5
    ),
    Budget("audit over TLS : its calls in series", _of(AUDIT, "audit : calls", "TLS 1.3"), 1.3),
    Budget("audit of 1,000 at 200 ms : bound", _of(AUDIT, "seconds : bound", "1,000 at 200 ms"), 1.15),
    Budget("longest stall while a report on 20,000 is written", _longest_stall, 100, "ms"),
    *(
        Budget(f"chatloom {name} : import aiohttp", _of(START, f"{name} : import aiohttp", "chatloom"), limit)
        for name, limit in (("--version", 0.25), ("--help", 1.0), ("audit --help", 1.5), ("agents", 2.5))
    ),
    Budget("longest stall while 10,000 agents are read", _of("event loop stall", "10,000 agents, ms"), 100, "ms"),
    Budget("CPU while 10,000 calls wait", _of("10,000 calls waiting", "CPU while waiting, ms/s"), 10, "ms/s"),
)
