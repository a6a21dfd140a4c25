"""A stand-in for the whole documented API, because the API offers no test account. Start at `Sandbox`."""

from .agent import StoredAgent
from .sandbox import Sandbox
from .workspace import SandboxWorkspace

__all__ = ["Sandbox", "SandboxWorkspace", "StoredAgent"]
