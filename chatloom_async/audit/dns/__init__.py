"""What the DNS says about allowed domains: opt-in, since an audit otherwise asks nobody but the API."""

from .hosts import read_hosts
from .resolver import InvalidResolverError, Resolver

__all__ = ["InvalidResolverError", "Resolver", "read_hosts"]
