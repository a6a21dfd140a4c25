"""Made-up workspaces in every state that the dashboard knows, on a sandbox in memory. Nothing is asked of anybody."""

import time

from aiohttp import web

from chatloom_async import Sandbox
from chatloom_async.audit import KeyEnv, Workspace

from .app import CHATLOOM, WORKSPACES, dashboard
from .reading import read_all

AGENTS = {"Acorn Outfitters": 5, "Birch & Sons": 4, "Cedar Books": 3, "Dogwood Bikes": 6, "Elm Street Bakery": 0}
TAGS = {"Acorn Outfitters": ("retail", "eu"), "Dogwood Bikes": ("retail",), "Elm Street Bakery": ("trial",)}


class Clock:
    """The time of this machine, and as much more as is wished: an outage that began a while ago."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def demo() -> web.Application:
    sandbox, clock = Sandbox(seed=4, rate_limit=None), Clock()
    workspaces = [
        Workspace(name, sandbox.add_workspace(name, agents=agents).key, TAGS.get(name, ()))
        for name, agents in AGENTS.items()
    ]
    workspaces.append(Workspace("Fir Legal", KeyEnv("FIR_LEGAL_CHATLOOM_KEY")))
    app = dashboard(workspaces, sandbox.transport(), clock)

    async def befall(app: web.Application) -> None:
        """Everything is read once; then one key is replaced elsewhere, and one workspace is out of reach."""
        await read_all(app[WORKSPACES].values(), app[CHATLOOM])
        sandbox["Cedar Books"].rotate_key()
        sandbox["Birch & Sons"].fails(503, times=None)
        clock.ahead += 95.0

    app.on_startup.append(befall)
    return app
