"""The errors for unsuccessful statuses, one class for each documented status."""

import re
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import ClassVar
from urllib.parse import urlsplit

import orjson
from attrs import field, frozen

from .auth import ApiKey, hidden
from .base_url import origin
from .cleaning import clean
from .decode import excerpt
from .errors import ChatloomError, Kind, RedirectRefusedError
from .message import Headers, Response

NUMBER = re.compile(r"\+?([0-9]{1,999}\.?[0-9]{0,999}|\.[0-9]{1,999})([eE][+-]?[0-9]{1,3})?")
WEEKDAY = re.compile(r"[A-Za-z]{3,9}")
MAX_DELAY = 1e9  # seconds, about thirty years: longer waits are cut to this
HTTP_DATE = re.compile(r"[A-Za-z]{3,9},? [\x20-\x7e]{8,40}")  # IMF-fixdate, RFC 850, and asctime without a comma


def http_date(text: str) -> datetime | None:
    """The moment of a header such as Date (aware); None if it is unreadable."""
    if not HTTP_DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # asctime and "-0000" come back naive


def retry_after_seconds(headers: Headers, *, now: datetime) -> float | None:
    """Seconds that the server asks to wait, at least 0, or None if the header is absent or unreadable.

    Never less than requested: fractions are rounded up, and the largest of several values counts. RFC 9110 allows only
    whole seconds and dates, but servers and proxies send other forms too.

    A date is relative to the response's Date header, if any, because the local clock may be wrong; else to `now`
    (aware).
    """
    waits = [_wait(text, headers, now) for text in _values(headers.get("retry-after", ""))]
    return max((wait for wait in waits if wait is not None), default=None)


def _values(text: str) -> Iterator[str]:
    """The values of a header that may occur several times. The comma within a date is not a separator."""
    weekday = ""
    for part in text.split(","):
        value = part.strip(" \t")
        if not weekday and WEEKDAY.fullmatch(value):
            weekday = f"{value},"
        else:
            yield f"{weekday}{part}".strip(" \t")
            weekday = ""


def _wait(text: str, headers: Headers, now: datetime) -> float | None:
    if NUMBER.fullmatch(text):
        seconds = min(float(text), MAX_DELAY)
        return float(ceil(seconds))
    until = http_date(text)
    if until is None:
        return None
    since = http_date(headers.get("date", "").strip(" \t")) or now
    return max(0.0, (until - since).total_seconds())


TRANSIENT = frozenset({408, 500, 502, 503, 504, 520, 521, 522, 523, 524})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@frozen(slots=False, eq=False, repr=False, str=False)
class APIStatusError(ChatloomError):
    """The API answered with an unsuccessful status. `message` is the `error` field of the answer.

    `retry_after` is in seconds; None if the answer has no Retry-After. The classes follow the documentation's table of
    errors; other statuses come from proxies and content delivery networks.

        error = RateLimitError("Slow down", status=429, retry_after=7.0)
        print(isinstance(error, APIStatusError), error.status, error.retry_after)  # True 429 7.0
    """

    hint: ClassVar[str] = (
        "The API does not document this status: a proxy may have answered, or an endpoint of your own has it."
    )

    status: int = field(default=0, kw_only=True)
    retry_after: float | None = field(default=None, kw_only=True)

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return "throttle" if self.status == 429 else "transient" if self.status in TRANSIENT else "permanent"

    def __str__(self) -> str:
        wait = "" if self.retry_after is None else f", retry after {ceil(self.retry_after)} s"
        return f"HTTP {self.status}{wait}: {super().__str__()}"


class BadRequestError(APIStatusError):
    """400: "The request body or parameters were malformed. The error message describes what to fix".

    A repeat would fail the same way:

        print(BadRequestError("No such parameter", status=400).retryable)  # False
    """

    hint = "Correct the request as the message says."


class AuthenticationError(APIStatusError):
    """401: "No API key was provided, or the key is invalid, expired, or malformed (wrong prefix)".

    It is retried only if a key provider returns another key:

        try:
            await chatloom.with_key("clf_of_last_year").list_agents()
        except AuthenticationError as error:
            print(error.status, error.stop_reason)  # 401 not_retryable
    """

    hint = (
        "The old key stops working the moment a new one is generated: take the current one from Settings > API Keys. "
        "The API is available on the Pro plan and above."
    )


class PermissionDeniedError(APIStatusError):
    """403: not documented by the API; a plan without the API, or a firewall in front of it.

    A repeat would fail the same way:

        print(PermissionDeniedError("Blocked", status=403).retryable)  # False
    """

    hint = (
        "The API is available on the Pro plan and above. If the plan is right, a firewall or content delivery network "
        "may block this machine's address."
    )


class NotFoundError(APIStatusError):
    """404: "The agent doesn't exist or isn't owned by the authenticated workspace".

    The API does not say whether it exists in another workspace:

        try:
            await chatloom.get_allowed_domains("agt_of_somebody_else")
        except NotFoundError as error:
            print(error.message)  # Agent not found.
    """

    hint = "Check the path, also that of the base URL. An id must be of the key's own workspace."


class RateLimitError(APIStatusError):
    """429: "You've hit a rate limit. Back off and retry with exponential backoff".

    The client waits and retries; this is raised when it gives up:

        print(RateLimitError("Slow down", status=429).retryable)  # True
    """

    hint = "A few hundred requests per minute and key are fine: lower the rate limit, or ask support@chatloom.app."


class ServerError(APIStatusError):
    """5xx: "Something went wrong on our side. Retry with backoff and contact support if it persists".

    Transient statuses are retried:

        print(ServerError("Down", status=503).retryable, ServerError("Never", status=501).retryable)  # True False
    """

    hint = "Try again later; contact support@chatloom.app if it persists."


BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}


def _message(response: Response, key: ApiKey | None) -> str:
    """The text of the documented `{"error": ...}`, else the beginning of the body."""
    try:
        text = orjson.loads(response.body)["error"]
    except (ValueError, TypeError, KeyError):
        text = None
    if isinstance(text, str) and clean(text):
        return hidden(text, key)
    return clean(excerpt(response, key)) or "no message"


def _target(location: str) -> str:
    """Where a redirect leads, without what could hold a secret."""
    if not location.strip():
        return "nowhere: it names no address"
    try:
        parts = urlsplit(location)
    except ValueError:
        return origin(location)
    return origin(location) if parts.netloc or parts.scheme else "another path of the same host"


def status_error(
    response: Response, success: Container[int] = (200,), key: ApiKey | None = None
) -> ChatloomError | None:
    """The error for the response's status, or None if it is a success. Never raises for a bad body. `key` is masked
    in the server's text."""
    status = response.status
    if status in success:
        return None
    if status in REDIRECTS:
        target = hidden(_target(response.headers.get("location", "")), key)
        return RedirectRefusedError(f"The server answered {status}, a redirect to {target}", location=target)
    cls = BY_STATUS.get(status, ServerError if status >= 500 else APIStatusError)
    wait = retry_after_seconds(response.headers, now=datetime.now(UTC))
    return cls(_message(response, key), status=status, retry_after=wait)
