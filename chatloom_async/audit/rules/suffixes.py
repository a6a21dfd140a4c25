"""Tells domains under which anybody can have a site, by the Public Suffix List that the package publicsuffixlist ships.

The list is read from disk when it is first needed. It is never downloaded: an audit asks nobody but the API.
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ...wire.errors import ConfigurationError

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


class MissingPackageError(ConfigurationError):
    """A package of an optional extra is not installed."""

    hint = "Install it: pip install 'chatloom-async[audit]'."


@lru_cache(maxsize=1 << 14)
def is_public_suffix(host: str) -> bool:
    """Whether the host (lower case, Unicode) is itself on the list: `co.uk` and `github.io`, not `acme.co.uk`.

    A top-level domain that the list does not know is none. Raises MissingPackageError.
    """
    suffixes = _suffixes()
    if suffixes is None:
        raise MissingPackageError("The Public Suffix List is missing")
    return suffixes.is_public(host)


@cache
def _suffixes() -> "PublicSuffixList | None":
    try:
        from publicsuffixlist import PublicSuffixList
    except ImportError:
        return None
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)  # hosts come decoded: a third of the time
