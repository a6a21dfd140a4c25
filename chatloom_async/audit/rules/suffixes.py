"""Tells domains under which anybody can have a site, by the Public Suffix List that the package publicsuffixlist ships.

The list is read from disk when it is first needed. It is never downloaded: an audit sends requests only to the API.
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ...wire.extras import needed_by

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1 << 14)
def is_public_suffix(host: str) -> bool:
    """Whether the host (lower case, Unicode) is itself on the list: `co.uk` and `github.io`, not `acme.co.uk`.

    A top-level domain that the list does not know is none. Raises MissingExtraError.
    """
    return _suffixes().is_public(host)


@lru_cache(maxsize=1 << 14)
def registrable_domain(host: str) -> str:
    """The part of the host (Unicode) that somebody registers: `acme.co.uk` of `www.acme.co.uk`; "" if there is none.

    Under a suffix of a hosting company, that is the customer's name: `acme.github.io`. Raises MissingExtraError.
    """
    return _suffixes().privatesuffix(host, accept_unknown=True) or ""


def known_suffix(host: str) -> str:
    """The public suffix of the host (Unicode); "" if its top-level domain is not on the list."""
    return _suffixes().publicsuffix(host) or ""


@cache
def _suffixes() -> "PublicSuffixList":
    with needed_by("The check for public suffixes", "publicsuffixlist", extra="audit"):
        from publicsuffixlist import PublicSuffixList
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)  # hosts come decoded: a third of the time
