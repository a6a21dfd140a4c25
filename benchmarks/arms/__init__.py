"""The arms of the comparison, in one table."""

from importlib import import_module
from typing import Any

from .interface import Arm, Opening

RAW, AGAIN, JSON, OURS = "aiohttp", "aiohttp again", "aiohttp + json()", "chatloom_async"
SDKS = ("gidgethub", "elastic-transport", "slack_sdk", "aiogram", "azure-core")  # of the budget "best peer SDK"

TABLE = (
    Arm(RAW, "bare_aiohttp:bytes_only", "reads the bytes, decodes nothing", "baseline", ("aiohttp",), quick=True),
    Arm(AGAIN, "bare_aiohttp:bytes_only", "the same once more: the noise", "baseline", ("aiohttp",), quick=True),
    Arm(JSON, "bare_aiohttp:json", "as people write it", "baseline", ("aiohttp",), quick=True),
    Arm("by hand", "bare_aiohttp:by_hand", "aiohttp, orjson and cattrs", "baseline", ("cattrs",)),
    Arm(OURS, "chatloom:on_aiohttp", "everything on", "ours", ("aiohttp",), quick=True),
    Arm(f"{OURS}, shared", "chatloom:on_shared_aiohttp", "connections shared by keys", "ours", ("aiohttp",)),
    Arm(f"{OURS} on httpx2", "chatloom:on_httpx2", "everything on", "ours", ("httpx2",)),
    Arm("aiohttp transport", "chatloom:aiohttp_alone", "what carries the client, alone", "ours", ("aiohttp",)),
    Arm("gidgethub", "gidgethub:getitem", "SDK of GitHub, JSON", "sdk", ("gidgethub",), quick=True),
    Arm("elastic-transport", "elastic:perform", "core of an SDK, JSON", "sdk", ("elastic-transport",), quick=True),
    Arm("slack_sdk", "slack:api_call", "SDK of Slack, JSON", "sdk", ("slack_sdk",), quick=True),
    Arm("aiogram", "telegram:bot", "SDK of Telegram, pydantic", "sdk", ("aiogram", "pydantic"), quick=True),
    Arm("azure-core", "azure_core:send_request", "core of an SDK, JSON", "sdk", ("azure-core",), quick=True),
    Arm("openai", "openai_sdk:on_httpx", "SDK of OpenAI, pydantic", "sdk", ("openai", "httpx2")),
    Arm("openai on aiohttp", "openai_sdk:on_aiohttp", "its aiohttp back end", "sdk", ("openai",)),
    Arm("httpx", "http_clients:httpx", "JSON", "http", ("httpx",)),
    Arm("httpx2", "http_clients:httpx2", "JSON", "http", ("httpx2",)),
    Arm("niquests", "http_clients:niquests", "JSON", "http", ("niquests",)),
    Arm("pyreqwest", "http_clients:pyreqwest", "JSON, its HTTP is Rust", "http", ("pyreqwest",), quick=True),
    Arm("floor", "bare_protocol:calls", "asyncio protocol, httptools, orjson", "floor", ("httptools",), quick=True),
)
ARMS = {arm.name: arm for arm in TABLE}


def paired(metric: str) -> str:
    """The name of the ratio of an arm's `metric` to that of raw aiohttp in the same process."""
    return f"{metric} : {RAW}"


def opened(arm: Arm, url: str) -> Opening:
    """The arm's client for the server at `url`. Raises ModuleNotFoundError where its package is not installed."""
    module, _, function = arm.place.partition(":")
    client: Opening = getattr(import_module(f".{module}", __name__), function)(url)
    return client


def agents_in(answer: Any) -> int:
    """How many agents an arm's answer holds, whatever form it has; so that no arm measures an error page."""
    if isinstance(answer, (bytes, bytearray)):
        return bytes(answer).count(b'"agt_')
    return len(answer.agents if hasattr(answer, "agents") else answer["agents"])
