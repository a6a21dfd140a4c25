"""Validates and normalizes the base URL, the prefix of every request URL."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from .errors import InvalidBaseUrlError

BASE_URL = "https://chatloom.app"
"""The documentation's base URL: all endpoints are relative to it, and it serves only over HTTPS."""

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*\.?")
BRACKETS = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def origin(url: str) -> str:
    """`scheme://host:port` of a URL. It is safe to show, because it has no credentials, path or query."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an unreadable address"
    if not parts.hostname:
        return "an address without a host"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def _is_host(parts: SplitResult) -> bool:
    """Whether this is a host. Only IPv6 has brackets, and only a port may follow them; urlsplit drops other text."""
    name = parts.hostname or ""
    if "[" not in parts.netloc:
        return bool(HOST.fullmatch(name))
    return bool(BRACKETS.fullmatch(parts.netloc) and ":" in name and "%" not in name and ip_address(name))


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _complaint(text: str, parts: SplitResult) -> str | None:
    """Why this cannot be a base URL, or None. Never quotes the text, because it may contain a password."""
    if not text.strip():
        return "is empty: leave it out, also as CHATLOOM_BASE_URL, for the API's own address"
    if re.search(r"[^\x21-\x7e]", text):
        return "holds blanks, control characters or characters outside ASCII"
    if parts.scheme not in ("https", "http"):
        return "does not start with https://"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    if "?" in text or "#" in text:
        return "has a query or a fragment"
    if not _is_host(parts) or parts.port == 0:
        return "has no valid host name or port (internationalized names go in their xn-- form)"
    if not PATH.fullmatch(parts.path.rstrip("/")) or any(part in (".", "..") for part in parts.path.split("/")):
        return "has a path with characters other than letters, digits and -._~"
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        return "uses plain http, which would send the key unencrypted; http is accepted for loopback hosts only"
    return None


def normalize_base_url(text: str) -> str:
    """The base URL in the form `https://host[:port][/path]`, without a trailing slash.

    Raises InvalidBaseUrlError for anything but https (or http to a loopback host), for user info,
    a query, a fragment or an invalid host.
    """
    try:
        complaint = _complaint(text, urlsplit(text))
    except (ValueError, TypeError, AttributeError):
        complaint = "cannot be read as a URL"
    if complaint:
        raise InvalidBaseUrlError(f"The base URL {complaint}.")
    return f"{origin(text)}{urlsplit(text).path.rstrip('/')}"
