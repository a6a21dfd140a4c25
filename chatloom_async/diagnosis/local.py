"""Checks this machine: versions, base URL, proxy variables, and where the key comes from. Never shows the key."""

import os
import platform
import re
import ssl
import stat
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Final

from attrs import frozen

from ..audit.keys import KeyEnv, KeyFile, KeyUnavailableError
from ..wire.auth import ApiKey, api_key_or_error
from ..wire.base_url import BASE_URL, normalize_base_url
from ..wire.errors import InvalidApiKeyError, InvalidBaseUrlError
from ..wire.version import VERSION
from .observation import Observation, ok, skipped, warning, wrong

FIXED_SINCE: Final = (3, 14, 4)


def installed() -> dict[str, str]:
    """The versions of Python and of the installed dependencies, by name."""
    return {
        "chatloom_async": VERSION,
        "Python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
    }


def versions_line(versions: Mapping[str, str]) -> str:
    """The versions as one line of text."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def check_versions(versions: Mapping[str, str]) -> Observation:
    """Warns about an aiohttp with known vulnerabilities: the last fix in its HTTP client is in 3.14.4."""
    if tuple(int(part) for part in re.findall(r"\d+", versions["aiohttp"])[:3]) < FIXED_SINCE:
        advice = "Security fixes of aiohttp's client are missing: pip install 'aiohttp>=3.14.4,<4'"
        return warning("versions", versions_line(versions), advice, **versions)
    return ok("versions", versions_line(versions), **versions)


VARIABLE: Final = "CHATLOOM_BASE_URL"
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
EXPLICIT: Final = "If that is the only way out, name it in code: AsyncChatloom(transport=AiohttpTransport(proxy=...))."


def check_base_url(given: str | None, given_by: str, environment: Mapping[str, str]) -> tuple[str | None, Observation]:
    """The base URL that a client would use, or None if it is invalid. An invalid one is never quoted."""
    sources = ((given, given_by), (environment.get(VARIABLE), VARIABLE), (BASE_URL, "the default"))
    text, source = next((text, source) for text, source in sources if text)
    try:
        address = normalize_base_url(text)
    except InvalidBaseUrlError as refused:
        return None, wrong("base URL", f"{source}: {refused.message}", refused.hint, source=source)
    plain = "; plain http, to this machine" if address.startswith("http:") else ""
    return address, ok("base URL", f"{address} ({source}{plain})", source=source, url=address)


def check_proxies(environment: Mapping[str, str]) -> Observation:
    """Warns about proxy variables by name. Their values are not shown, because they may contain a password."""
    names = [name for name, value in environment.items() if name.lower() in PROXIES and value]
    if not names:
        return ok("proxies", "none in the environment", ignored=[])
    found = f"{', '.join(sorted(names))}: set, and deliberately ignored"
    return warning("proxies", found, EXPLICIT, ignored=sorted(names))


@frozen
class GivenKey:
    """A key that was read already, or why it is invalid, and its source."""

    where: str
    key: ApiKey | InvalidApiKeyError

    def __str__(self) -> str:
        return self.where

    async def read(self) -> ApiKey | InvalidApiKeyError:
        return self.key


KeyReference = KeyEnv | KeyFile | GivenKey
"""A place that may hold a key. `str()` of it names the place."""


async def check_key(reference: KeyReference) -> tuple[ApiKey | None, list[Observation]]:
    """The key, or None, and the observation about it."""
    permissions = list(_permissions(reference))
    if permissions and permissions[0].state == "wrong":
        return None, [*permissions, skipped("key", "not read from a file that others can read")]
    source = str(reference)
    text = await reference.read()
    key = api_key_or_error(text) if isinstance(text, (str, ApiKey)) else text
    if isinstance(key, ApiKey):
        shape = f"clf_ and {len(key.reveal()) - len('clf_')} more characters"
        return key, [*permissions, ok("key", f"{source}: {shape}", source=source, valid=True)]
    problem = key.message if isinstance(key, KeyUnavailableError) else f"{source}: {key.message}"
    return None, [*permissions, wrong("key", problem, InvalidApiKeyError.hint, source=source, valid=False)]


def _permissions(reference: KeyReference, *, posix: bool = os.name == "posix") -> Iterator[Observation]:
    """What other users may do with a key file. Empty for other references and for a missing file."""
    if not isinstance(reference, KeyFile) or not posix:
        return
    path = reference.path
    try:
        mode = stat.S_IMODE(path.expanduser().stat().st_mode)
    except (OSError, RuntimeError):  # RuntimeError: no home directory for ~
        return
    text = f"{path} has mode {mode:03o}"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield wrong("key file", f"{text}: others can read it", f"chmod 600 {path}", mode=f"{mode:03o}")
    else:
        yield ok("key file", f"{text}: only its owner can read it", mode=f"{mode:03o}")
