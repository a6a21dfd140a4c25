"""Why calls work here, or do not: the way from this machine to the API, step by step. Start at `examine`.

Every step turns what it sees into an `Observation`. None prints, and none raises for what it finds.
"""

from .examination import Setup, examine
from .journal import Journal
from .observation import Observation

__all__ = ["Journal", "Observation", "Setup", "examine"]
