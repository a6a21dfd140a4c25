"""The public face: what can be imported, and in which form. Code outside of this project is written against it."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chatloom_async
import chatloom_async.audit
from chatloom_async import AsyncChatloom, Request, Response, RetryPolicy, Timeouts
from chatloom_async.policy.limiter import RateLimit

PACKAGE = Path(chatloom_async.__file__).parent


def test_the_exported_names_are_these() -> None:
    """Adding a name is a decision; losing one breaks somebody."""
    assert len(set(chatloom_async.__all__)) == len(chatloom_async.__all__)
    assert set(chatloom_async.__all__) >= {
        *("AsyncChatloom", "Agent", "AgentList", "AllowedDomains", "Endpoint", "ListAgents", "GetAllowedDomains"),
        *("Request", "Response", "Transport", "AiohttpTransport", "MockTransport", "Sandbox"),
        *("RetryPolicy", "RateLimit", "Timeouts", "ApiKey", "Exchange", "Attempt", "fan_out", "Ok", "Err"),
        *("ChatloomError", "ConfigurationError", "InvalidApiKeyError", "InvalidBaseUrlError", "InvalidAgentIdError"),
        *("UsageError", "ClientClosedError", "TransportError", "ConnectError", "TLSError", "AttemptTimeoutError"),
        *("ConnectionLostError", "PayloadError", "ProtocolError", "ResponseTooLargeError", "RedirectRefusedError"),
        *("DecodeError", "NotJSONError", "SchemaMismatchError", "APIStatusError", "BadRequestError"),
        *("AuthenticationError", "PermissionDeniedError", "NotFoundError", "RateLimitError", "ServerError"),
        *("DeadlineExceededError", "MissingExtraError", "NULL", "Null", "member", "query"),
    }
    for name in chatloom_async.__all__:
        assert getattr(chatloom_async, name).__doc__ or name == "__version__", name


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """Lazy names do not hide typos."""
    assert not hasattr(chatloom_async, "Chatlom")


@pytest.mark.parametrize("package", [chatloom_async, chatloom_async.audit])
def test_dir_lists_every_name(package: Any) -> None:
    """Also those that are not imported yet, so that editors and interpreters complete them."""
    assert set(dir(package)) >= set(package.__all__)


def test_every_public_module_says_what_it_is_for() -> None:
    """The first line of each file, except of the two lines that make `python -m chatloom_async` work."""
    code = set(PACKAGE.rglob("*.py")) - {PACKAGE / "__main__.py"}
    files = [file for file in code if not ast.get_docstring(ast.parse(file.read_text("utf-8")))]
    assert files == []


def test_the_signatures_are_these() -> None:
    """Defaults are promises as well."""
    constructor = inspect.signature(AsyncChatloom).parameters
    assert {name: p.default for name, p in constructor.items()} == {
        "api_key": None,
        "base_url": None,
        "auth": "bearer",
        "timeouts": Timeouts(connect=5.0, read=10.0, attempt=15.0),
        "deadline": 60.0,
        "retry": RetryPolicy(),
        "rate_limit": RateLimit(per_second=4.0, burst=8, concurrency=8),
        "max_in_flight": None,
        "transport": None,
        "on_attempt": None,
        "clock": None,
        "unknown": inspect.Parameter.empty,
    }
    assert [n for n, p in constructor.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == ["api_key"]
    assert str(inspect.signature(AsyncChatloom.get_allowed_domains)).startswith("(self, agent_id: str)")
    assert AsyncChatloom.get_allowed_domains.__name__ == "get_allowed_domains"
    assert inspect.signature(AsyncChatloom.aclose).parameters["drain"].default == 5.0
    assert Request("GET", "https://chatloom.app", {"a": "b"}, None).headers["A"] == "b"
    assert Response(200, {}, b"").body == b""


def test_help_reads_well() -> None:
    """The calls, what each option means, and an example, on the page that a newcomer opens first."""
    code = "import chatloom_async; help(chatloom_async.AsyncChatloom)"
    page = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for text in (
        "async with AsyncChatloom() as chatloom:",
        "async get_allowed_domains(self, agent_id: str)",
        "Raises NotFoundError for an agent that does not exist",
        "deadline: the limit for one call, in seconds",
    ):
        assert text in page
