"""Tools for the tests of programs that use this package. The pytest fixtures in plugin.py need no import."""

from .clock import VirtualClock

__all__ = ["VirtualClock"]
