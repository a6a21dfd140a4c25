"""What the transports over real sockets share: the check of a proxy's URL, default TLS, and a warning if left open."""

import re
import ssl
import warnings
from functools import cache
from ipaddress import IPv6Address

from ..wire.errors import ConfigurationError

USER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@"
PROXY_URL = re.compile(rf"https?://(?:{USER})?(?:[A-Za-z0-9._-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{{1,5}}))?/?")
PROXY_WANTED = (
    "proxy must be the URL of an HTTP proxy, such as http://proxy.example:3128. Percent-encode special characters "
    "of a user name or password; leave out path, query and fragment"
)


def checked_proxy(url: object) -> ConfigurationError | str | None:
    """The URL of the proxy, or the error to raise. The error does not quote the URL: it may hold a password."""
    if url is None:
        return None
    match = PROXY_URL.fullmatch(url) if isinstance(url, str) else None
    return match[0] if match and _has_place(match) else ConfigurationError(PROXY_WANTED)


def _has_place(match: re.Match[str]) -> bool:
    """Whether the port and the IPv6 address, if they are given, exist."""
    try:
        IPv6Address(match[1] or "::")
    except ValueError:
        return False
    return 0 < int(match[2] or 1) < 65536


@cache
def default_tls(http2: bool = False) -> ssl.SSLContext:
    """The certificates that the machine trusts. Reading them takes 20 ms; httpx2 changes the context for HTTP/2."""
    return ssl.create_default_context()


def warn_unclosed(name: str) -> None:
    """Warns that a transport is collected with open connections. To be called by its `__del__`."""
    text = f"{name} was not closed: use `async with`, or await its aclose()"
    warnings.warn(text, ResourceWarning, stacklevel=3)
