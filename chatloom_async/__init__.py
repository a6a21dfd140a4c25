"""An asyncio-first client of the Chatloom API.

    from chatloom_async import AsyncChatloom

    async with AsyncChatloom() as chatloom:
        agents = await chatloom.list_agents()

What takes long to import, and what most programs do not need, is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .client import AsyncChatloom
from .endpoints.agents import Agent, AgentList, AllowedDomains, GetAllowedDomains, ListAgents
from .fanout import Err, Ok, fan_out
from .policy.limiter import Limiter, LimitState, RateLimit, SharedLimiter
from .policy.retry import RetryPolicy
from .transports.interface import Transport
from .transports.mock import MockTransport
from .wire.auth import ApiKey
from .wire.encode import NULL, Null
from .wire.endpoint import Endpoint, member, query
from .wire.errors import (
    Attempt,
    AttemptTimeoutError,
    ChatloomError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    DeadlineExceededError,
    DecodeError,
    InvalidAgentIdError,
    InvalidApiKeyError,
    InvalidBaseUrlError,
    MissingExtraError,
    NotJSONError,
    PayloadError,
    ProtocolError,
    RedirectRefusedError,
    ResponseTooLargeError,
    SchemaMismatchError,
    TLSError,
    TransportError,
    UsageError,
)
from .wire.message import Exchange, Headers, Request, Response, Timeouts
from .wire.status import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from .wire.version import VERSION as __version__

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .transports.aiohttp.transport import AiohttpTransport
    from .transports.caching import CachingTransport
    from .transports.recording import RecordingTransport, ReplayTransport
    from .watching import AgentAdded, AgentChanged, AgentRemoved, DomainsChanged, watch

__all__ = [
    "NULL",
    "APIStatusError",
    "Agent",
    "AgentAdded",
    "AgentChanged",
    "AgentList",
    "AgentRemoved",
    "AiohttpTransport",
    "AllowedDomains",
    "ApiKey",
    "AsyncChatloom",
    "Attempt",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "CachingTransport",
    "ChatloomError",
    "ClientClosedError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "DeadlineExceededError",
    "DecodeError",
    "DomainsChanged",
    "Endpoint",
    "Err",
    "Exchange",
    "GetAllowedDomains",
    "Headers",
    "InvalidAgentIdError",
    "InvalidApiKeyError",
    "InvalidBaseUrlError",
    "LimitState",
    "Limiter",
    "ListAgents",
    "MissingExtraError",
    "MockTransport",
    "NotFoundError",
    "NotJSONError",
    "Null",
    "Ok",
    "PayloadError",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimit",
    "RateLimitError",
    "RecordingTransport",
    "RedirectRefusedError",
    "ReplayTransport",
    "Request",
    "Response",
    "ResponseTooLargeError",
    "RetryPolicy",
    "Sandbox",
    "SchemaMismatchError",
    "ServerError",
    "SharedLimiter",
    "TLSError",
    "Timeouts",
    "Transport",
    "TransportError",
    "UsageError",
    "__version__",
    "fan_out",
    "member",
    "query",
    "watch",
]

_LAZY = {
    "AgentAdded": ".watching",
    "AgentChanged": ".watching",
    "AgentRemoved": ".watching",
    "AiohttpTransport": ".transports.aiohttp",
    "CachingTransport": ".transports.caching",
    "DomainsChanged": ".watching",
    "RecordingTransport": ".transports.recording",
    "ReplayTransport": ".transports.recording",
    "Sandbox": ".sandbox",
    "watch": ".watching",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)
