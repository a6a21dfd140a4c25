"""For the tests of programs that use this package: pytest's fixtures are in plugin.py, and need no import."""

from .clock import VirtualClock

__all__ = ["VirtualClock"]
