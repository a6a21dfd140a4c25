"""Which versions are at work, and whether aiohttp's has all the fixes that this package counts on."""

import platform
import re
import ssl
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from ..wire.version import VERSION
from .observation import Observation, ok, warning

FIXED_SINCE: Final = (3, 14, 4)


def installed() -> dict[str, str]:
    """The versions of this process, by name."""
    return {
        "chatloom_async": VERSION,
        "Python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
    }


def told(versions: Mapping[str, str]) -> str:
    """As a list for people."""
    return ", ".join(f"{name} {each}" for name, each in versions.items())


def examine_versions(versions: Mapping[str, str]) -> Observation:
    """A warning for an aiohttp with known holes: fixes of its HTTP client's security go up to 3.14.4."""
    if tuple(int(part) for part in re.findall(r"\d+", versions["aiohttp"])[:3]) < FIXED_SINCE:
        advice = "Security fixes of aiohttp's client are missing: pip install 'aiohttp>=3.14.4,<4'"
        return warning("versions", told(versions), advice, **versions)
    return ok("versions", told(versions), **versions)
