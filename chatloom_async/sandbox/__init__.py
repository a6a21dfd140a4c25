"""A stand-in for the whole documented API, because the API offers no test account. Start at `Sandbox`."""

from .sandbox import Sandbox
from .seed import StoredAgent
from .workspace import SandboxWorkspace

__all__ = ["Sandbox", "SandboxWorkspace", "StoredAgent"]
