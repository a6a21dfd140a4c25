"""The decisions of the sandbox. `handle` answers one request and checks, in this order:

the key (401), a scripted fault, the rate limit (429), the path (404) and the method (405), the agent (404).

It does no I/O and reads no clock. Quotations are from the API's documentation.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import unquote

from attrs import Factory, define, field, frozen

from ..wire.auth import ApiKey, api_key_or_error
from ..wire.cleaning import clean
from ..wire.message import Response
from .answers import Pages, Reply, error, pages
from .workspace import Rate, SandboxWorkspace, TokenBucket

WARM = 4096  # workspaces with cached responses, about 5 KB each with a dozen agents
LOGGED = 1000


class LogEntry(NamedTuple):
    """One request that the sandbox received. `workspace` is None without a valid key; `outcome` is what it sent."""

    workspace: str | None
    method: str
    path: str
    outcome: int | str  # the status, or "cut" or "lost"


@define(eq=False, repr=False)
class State:
    """The mutable state of a sandbox. `warm` holds the workspaces with cached responses, oldest first."""

    rate: Rate | None
    workspaces: dict[str, SandboxWorkspace] = field(factory=dict)
    keys: dict[ApiKey, SandboxWorkspace] = field(factory=dict)
    warm: dict[SandboxWorkspace, None] = field(factory=dict)
    log: deque[LogEntry] = Factory(lambda: deque[LogEntry](maxlen=LOGGED))
    requests: int = 0

    def pages(self, workspace: SandboxWorkspace) -> Pages:
        """The workspace's responses as bytes, rendered on the first request after a change."""
        if workspace.pages is None:
            workspace.pages = pages(workspace.agents)
            self.warm[workspace] = None
            if len(self.warm) > WARM:
                oldest = next(iter(self.warm))
                del self.warm[oldest]
                oldest.pages = None
        return workspace.pages

    def record(self, workspace: SandboxWorkspace | None, method: str, path: str, outcome: int | str) -> None:
        """Counts and logs a request. A key in the path is masked."""
        self.requests += 1
        if workspace is not None:
            workspace.requests += 1
        shown = clean(path, 200) if "clf_" in path or len(path) > 200 else path
        self.log.append(LogEntry(None if workspace is None else workspace.name, method[:20], shown, outcome))


NO_KEY: Final = error(401, "API key is required. Please provide it in Authorization or X-API-Key header.")
BAD_KEY: Final = error(401, "The API key is malformed: send `Authorization: Bearer clf_...` or `X-API-Key: clf_...`.")
TWO_KEYS: Final = error(401, "Authorization and X-API-Key disagree. Please provide the API key in one of them.")
UNKNOWN_KEY: Final = error(401, "The API key is invalid or expired.")
NOT_BEARER: Final = "not a bearer token"  # never a valid key, because it contains blanks

NO_AGENT: Final = error(404, "Agent not found.")
NO_PATH: Final = error(404, "There is no such endpoint.")
NO_METHOD: Final = error(405, "This endpoint answers to GET only.", {"Allow": "GET"})


@frozen
class SandboxRequest:
    """The parts of a request that the sandbox uses. `path` is percent-encoded, with or without a query."""

    method: str
    path: str
    authorization: str = field(default="", repr=False)
    x_api_key: str = field(default="", repr=False)


Handler = Callable[[SandboxRequest], Reply]
"""`handle`, bound to a sandbox's state and clock."""


def handle(state: State, request: SandboxRequest, now: float) -> Reply:
    """The response, with the fault to carry out, if any. `now` is in seconds of any monotonic clock."""
    path = request.path.partition("?")[0]
    workspace = _authenticated(state.keys, request)
    if isinstance(workspace, Response):
        state.record(None, request.method, path, workspace.status)
        return Reply(workspace)
    if fault := workspace.next_fault(path):
        reply = fault.reply(_routed(state.pages(workspace), request.method, path))
    else:
        refusal = _limited(state.rate, workspace, now)
        reply = Reply(refusal or _routed(state.pages(workspace), request.method, path))
    outcome = reply.response.status if reply.ends == "whole" else reply.ends
    state.record(workspace, request.method, path, outcome)
    return reply


def _authenticated(keys: dict[ApiKey, SandboxWorkspace], request: SandboxRequest) -> SandboxWorkspace | Response:
    """The workspace of the key: "All requests must include a valid API key".

    The documentation does not say which header wins if both are sent. The sandbox accepts two equal keys and refuses
    two different ones, because a client that sends different keys has a mistake in one of them.
    """
    bearer = _bearer(request.authorization)
    text = bearer or request.x_api_key.strip()
    if not text:
        return NO_KEY
    if request.x_api_key and request.authorization.strip() and bearer != request.x_api_key.strip():
        return TWO_KEYS
    key = api_key_or_error(text)
    return keys.get(key, UNKNOWN_KEY) if isinstance(key, ApiKey) else BAD_KEY


def _bearer(authorization: str) -> str:
    """The token after `Bearer`, "" if the header is empty, or an invalid key if the scheme is another one."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "") else NOT_BEARER


def _limited(rate: Rate | None, workspace: SandboxWorkspace, now: float) -> Response | None:
    """A 429 with the seconds to wait, rounded up: "You've hit a rate limit. Back off and retry"."""
    if rate is None:
        return None
    if workspace.bucket is None:
        workspace.bucket = TokenBucket(rate.burst, now)
    wait = workspace.bucket.take(rate, now)
    return error(429, headers={"Retry-After": str(math.ceil(wait))}) if wait else None


def _routed(pages: Pages, method: str, path: str) -> Response:
    for pattern, read in ROUTES:
        if match := pattern.fullmatch(path):
            return read(pages, *match.groups()) if method == "GET" else NO_METHOD
    return NO_PATH


def _agents(pages: Pages) -> Response:
    """GET /api/plugin/agents: "Returns every agent in the authenticated workspace"."""
    return pages.agents


def _allowed_domains(pages: Pages, agent_id: str) -> Response:
    """GET .../allowed-domains: "requesting an agent you don't own returns 404"."""
    return pages.domains.get(unquote(agent_id), NO_AGENT)


ROUTES: Final[tuple[tuple[re.Pattern[str], Callable[..., Response]], ...]] = (
    (re.compile(r"/api/plugin/agents/([^/]*)/allowed-domains"), _allowed_domains),
    (re.compile(r"/api/plugin/agents"), _agents),
)
