"""Maps aiohttp's exceptions to TransportErrors."""

from urllib.parse import urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from ...wire.base_url import origin
from ...wire.errors import TransportError
from .. import failures


def transport_error(problem: BaseException, url: str, *, proxied: bool) -> TransportError | None:
    """The TransportError for an exception of aiohttp; None if it is not a failure of the transport."""
    where = origin(url)
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return failures.connect_timeout(where)
        case TimeoutError():
            return failures.read_timeout(where)
        case aiohttp.ClientHttpProxyError():
            return failures.proxy_refused(where, str(problem.status))
        case aiohttp.ClientConnectorCertificateError():
            at_proxy = proxied and problem.host != urlsplit(url).hostname
            return failures.no_connection(problem.certificate_error, where, at_proxy=at_proxy)
        case aiohttp.ClientConnectorError():
            at_proxy = proxied and _is_about_the_proxy(problem, url)
            return failures.no_connection(problem.os_error, where, at_proxy=at_proxy)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return failures.invalid_answer(where, too_large=_is_too_large(problem))
        case aiohttp.ClientConnectionError():
            how = "closed" if isinstance(problem, aiohttp.ServerDisconnectedError) else failures.name_of(problem)
            return failures.connection_lost(where, how, begun=getattr(problem, "begun", False))
        case aiohttp.ClientError():
            return failures.exchange_failed(where, problem)
    return None


def _is_about_the_proxy(problem: aiohttp.ClientConnectorError, url: str) -> bool:
    """Whether the error is about the proxy: only its name is resolved here, but TLS may also fail behind it."""
    at_proxy = isinstance(problem, (aiohttp.ClientProxyConnectionError, aiohttp.ClientConnectorDNSError))
    return at_proxy or problem.host != urlsplit(url).hostname


def _is_too_large(problem: BaseException) -> bool:
    """Whether the head exceeds aiohttp's limits. It would do so again."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return isinstance(problem, LineTooLong) or "Too many headers" in str(problem)
