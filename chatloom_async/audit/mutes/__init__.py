"""Mutes: findings that are known and accepted for a stated reason, until a stated day."""

from .loading import MutesFileError, load_mutes
from .sifting import Sieve
from .values import Mute, Muted, Sifted

__all__ = ["Mute", "Muted", "MutesFileError", "Sieve", "Sifted", "load_mutes"]
