"""Checks every step of the way from this machine to the API, and explains why calls fail. Start at `examine`.

Every step returns an `Observation`. No step prints, and none raises for a problem that it detects.
"""

from .examination import Setup, examine
from .journal import Journal
from .observation import Observation

__all__ = ["Journal", "Observation", "Setup", "examine"]
