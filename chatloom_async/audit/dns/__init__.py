"""Looks up allowed domains in the DNS. Opt-in: otherwise an audit sends requests only to the API."""

from .hosts import read_hosts
from .resolver import InvalidResolverError, Resolver

__all__ = ["InvalidResolverError", "Resolver", "read_hosts"]
