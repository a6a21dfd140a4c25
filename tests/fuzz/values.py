"""The targets that check one value before anything is sent: keys, base URLs and ids. See targets.py."""

import re
import string
from pathlib import Path
from posixpath import normpath

from chatloom_async import ApiKey, GetAllowedDomains, InvalidAgentIdError, InvalidApiKeyError, InvalidBaseUrlError
from chatloom_async.wire.auth import api_key_or_error
from chatloom_async.wire.base_url import normalize_base_url

from .promises import explained

URL = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f.:]+\])(:[0-9]*)?(/.*)?", re.IGNORECASE)
UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")  # RFC 3986, section 2.3


def api_keys(data: bytes, _: Path) -> None:
    """A text is a key, which hides, or an error that does not quote the text."""
    text = data.decode(errors="surrogateescape")
    key = api_key_or_error(text)
    if isinstance(key, ApiKey):
        assert key.reveal() == text
        assert {*text} <= {*string.printable} - {*string.whitespace, *"\"'`,"}
        assert {repr(key), str(key), f"{key:>9}"} == {"ApiKey('clf_***')", "clf_***", "  clf_***"}
    else:
        explained(key, InvalidApiKeyError, without=text)


def base_urls(data: bytes, _: Path) -> None:
    """What is accepted is what was given, but for capitals, zeros before a port, and slashes at the end."""
    text = data.decode(errors="surrogateescape")
    try:
        url = normalize_base_url(text)
    except InvalidBaseUrlError as error:
        explained(error, InvalidBaseUrlError, without="" if text in error.hint else text)  # it shows an address
    else:
        parts = URL.fullmatch(text)
        assert parts, f"{text!r} was accepted"
        port = (parts[3] or "").lstrip(":0")
        assert url == f"{parts[1].lower()}://{parts[2].lower()}{port and ':'}{port}{(parts[4] or '').rstrip('/')}"
        assert normalize_base_url(url) == url


def agent_ids(data: bytes, _: Path) -> None:
    """An id is one segment of the path, letter by letter, or nothing is sent."""
    text = data.decode(errors="surrogateescape")
    try:
        request = GetAllowedDomains(text).request("https://chatloom.app")
    except InvalidAgentIdError as error:
        explained(error, InvalidAgentIdError, without=text)
    else:
        path = f"/api/plugin/agents/{text}/allowed-domains"
        assert (request.url, normpath(path)) == (f"https://chatloom.app{path}", path)
        assert {*text} <= UNRESERVED
