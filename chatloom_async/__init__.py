"""An asyncio-first client of the Chatloom API.

    from chatloom_async import AsyncChatloom

    async with AsyncChatloom() as chatloom:
        agents = await chatloom.list_agents()

Every name is imported when it is first used, so that `import chatloom_async` costs next to nothing.
"""

from importlib import import_module

from .wire.version import VERSION as __version__

TYPE_CHECKING = False  # checkers take it for true; `typing` would double the time until the program handles signals
if TYPE_CHECKING:
    from .client import AsyncChatloom
    from .endpoints.agents import Agent, AgentList, AllowedDomains, GetAllowedDomains, ListAgents
    from .fanout import Err, Ok, fan_out
    from .policy.limiter import Limiter, LimitState, RateLimit, SharedLimiter
    from .policy.retry import RetryPolicy
    from .sandbox import Sandbox
    from .transports.aiohttp.transport import AiohttpTransport
    from .transports.caching import CachingTransport
    from .transports.interface import MockTransport, Transport
    from .transports.recording import RecordingTransport, ReplayTransport
    from .watching import AgentAdded, AgentChanged, AgentRemoved, DomainsChanged, watch
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

# fmt: off
__all__ = [
    "NULL", "APIStatusError", "Agent", "AgentAdded", "AgentChanged", "AgentList", "AgentRemoved", "AiohttpTransport",
    "AllowedDomains", "ApiKey", "AsyncChatloom", "Attempt", "AttemptTimeoutError", "AuthenticationError",
    "BadRequestError", "CachingTransport", "ChatloomError", "ClientClosedError", "ConfigurationError", "ConnectError",
    "ConnectionLostError", "DeadlineExceededError", "DecodeError", "DomainsChanged", "Endpoint", "Err", "Exchange",
    "GetAllowedDomains", "Headers", "InvalidAgentIdError", "InvalidApiKeyError", "InvalidBaseUrlError", "LimitState",
    "Limiter", "ListAgents", "MissingExtraError", "MockTransport", "NotFoundError", "NotJSONError", "Null", "Ok",
    "PayloadError", "PermissionDeniedError", "ProtocolError", "RateLimit", "RateLimitError", "RecordingTransport",
    "RedirectRefusedError", "ReplayTransport", "Request", "Response", "ResponseTooLargeError", "RetryPolicy",
    "Sandbox", "SchemaMismatchError", "ServerError", "SharedLimiter", "TLSError", "Timeouts", "Transport",
    "TransportError", "UsageError", "__version__", "fan_out", "member", "query", "watch",
]
# fmt: on

_NAMES = {
    ".client": "AsyncChatloom",
    ".endpoints.agents": "Agent AgentList AllowedDomains GetAllowedDomains ListAgents",
    ".fanout": "Err Ok fan_out",
    ".policy.limiter": "LimitState Limiter RateLimit SharedLimiter",
    ".policy.retry": "RetryPolicy",
    ".transports.interface": "MockTransport Transport",
    ".wire.auth": "ApiKey",
    ".wire.encode": "NULL Null",
    ".wire.endpoint": "Endpoint member query",
    ".wire.errors": (
        "Attempt AttemptTimeoutError ChatloomError ClientClosedError ConfigurationError ConnectError "
        "ConnectionLostError DeadlineExceededError DecodeError InvalidAgentIdError InvalidApiKeyError "
        "InvalidBaseUrlError MissingExtraError NotJSONError PayloadError ProtocolError RedirectRefusedError "
        "ResponseTooLargeError SchemaMismatchError TLSError TransportError UsageError"
    ),
    ".wire.message": "Exchange Headers Request Response Timeouts",
    ".wire.status": (
        "APIStatusError AuthenticationError BadRequestError NotFoundError PermissionDeniedError "
        "RateLimitError ServerError"
    ),
    ".sandbox": "Sandbox",
    ".transports.aiohttp.transport": "AiohttpTransport",
    ".transports.caching": "CachingTransport",
    ".transports.recording": "RecordingTransport ReplayTransport",
    ".watching": "AgentAdded AgentChanged AgentRemoved DomainsChanged watch",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
