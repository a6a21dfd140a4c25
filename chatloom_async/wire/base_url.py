"""Turns what a caller gives as base URL into the one prefix that every request URL starts with."""

import re
from urllib.parse import SplitResult, urlsplit

from .errors import InvalidBaseUrlError

__all__ = ["BASE_URL", "normalize_base_url", "origin"]

BASE_URL = "https://chatloom.app"
"""The documentation's base URL: all endpoints are relative to it, and it serves only over HTTPS."""

LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
HOST = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?|[0-9A-Fa-f:.]+")
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


def origin(url: str) -> str:
    """`scheme://host:port` of a URL, without credentials, path or query, so that it is safe to show."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    except ValueError:
        return "an unreadable address"


def _complaint(text: str, parts: SplitResult) -> str | None:
    """Why this cannot be a base URL, or None. Never quotes the text: it may carry a password."""
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http"):
        return "does not start with https://"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    if "?" in text or "#" in text:
        return "has a query or a fragment"
    if not HOST.fullmatch(host):
        return "has no valid host name (internationalized names go in their xn-- form)"
    if not PATH.fullmatch(parts.path.rstrip("/")) or any(part in (".", "..") for part in parts.path.split("/")):
        return "has a path with characters other than letters, digits and -._~"
    if parts.scheme == "http" and not LOOPBACK.fullmatch(host):
        return "uses plain http, which would send the key unencrypted; http is accepted for loopback hosts only"
    return None


def normalize_base_url(text: str) -> str:
    """The base URL in the form `https://host[:port][/path]`, without a trailing slash.

    Raises InvalidBaseUrlError for anything but https (or http to a loopback host), for user info,
    a query, a fragment or an invalid host.
    """
    try:
        parts = urlsplit(text)
        complaint = "holds blanks or control characters" if re.search(r"[^\x21-\x7e]", text) else _complaint(text, parts)
        if not complaint:
            return f"{origin(text)}{parts.path.rstrip('/')}"
    except (ValueError, TypeError, AttributeError):
        complaint = "cannot be read as a URL"
    raise InvalidBaseUrlError(f"The base URL {complaint}.") from None
