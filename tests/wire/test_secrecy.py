"""The canary: a key, put wherever a key can be, is shown by no tool that prints values or tracebacks."""

import io
import logging
import pprint
import traceback
from typing import Any

import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from chatloom_async.wire.auth import ApiKey
from chatloom_async.wire.errors import Attempt, DeadlineExceededError, RedirectRefusedError
from chatloom_async.wire.message import Exchange, Headers, Request, Response
from chatloom_async.wire.status import AuthenticationError

CANARY = "clf_canary0123456789"


def values() -> list[Any]:
    """One of everything that has held the key, or a text with it."""
    key = ApiKey(CANARY)
    error = AuthenticationError(f"The key {CANARY} is unknown", status=401)
    attempt = Attempt(operation="ListAgents", number=1, started=0.0, waited=0.0, elapsed=0.1, status=401, error=error)
    response = Response(401, {"Set-Cookie": CANARY, "X-Echo": CANARY}, f'{{"error": "{CANARY}"}}'.encode())
    return [
        key,
        {"key": key, "keys": [key, (key, {key})]},
        Headers({"Authorization": f"Bearer {CANARY}", "Cookie": CANARY}),
        key.sign(Request("GET", "https://x/y"), "bearer"),
        key.sign(Request("POST", "https://x/y", body=b"{}"), "x-api-key"),
        response,
        error,
        attempt,
        Exchange(None, response, (attempt,), 0.1),
        DeadlineExceededError("Late", last=error, attempts=(attempt,)),
        RedirectRefusedError("Elsewhere", location=f"https://{CANARY}"),
    ]


def rich_traceback(failure: BaseException) -> str:
    """As rich prints it, with local variables."""
    output = io.StringIO()
    shown = Traceback.from_exception(type(failure), failure, failure.__traceback__, show_locals=True)
    Console(file=output, width=200).print(shown)
    return output.getvalue()


def logged(value: object) -> str:
    """What logging writes at its lowest level."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    logger = logging.getLogger("tests.secrecy")
    logger.setLevel(1)
    logger.addHandler(handler)
    logger.log(1, "%s %r", value, value)
    logger.removeHandler(handler)
    return output.getvalue()


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "show", [str, repr, pprint.pformat, pretty_repr, logged], ids=["str", "repr", "pprint", "rich", "logging"]
)
def test_no_printer_shows_a_key(show: Any, value: object) -> None:
    """str, repr, pprint, rich and logging."""
    assert CANARY[4:] not in show(value)


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_no_traceback_with_locals_shows_a_key(value: object) -> None:
    """A crash in a function that holds the value, as the standard library and rich print it."""

    def crash(held: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        crash(value)
    plain = traceback.TracebackException(
        ZeroDivisionError, caught.value, caught.value.__traceback__, capture_locals=True
    )
    text = "".join(plain.format()) + rich_traceback(caught.value)
    assert ("held = " in text, CANARY[4:] in text) == (True, False)
