"""A stand-in for the whole documented API, because the API offers no test account. Start at `Sandbox`."""

from .sandbox import Sandbox
from .stored import StoredAgent
from .workspace import Workspace

__all__ = ["Sandbox", "StoredAgent", "Workspace"]
