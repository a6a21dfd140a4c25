"""The application's client as a FastAPI dependency, for one key or for a key per customer:

    app = FastAPI(lifespan=lifespan(AsyncChatloom.for_many))


    def tenant(chatloom: Chatloom, x_tenant: Annotated[str, Header()]) -> AsyncChatloom:
        return chatloom.with_key(keys[x_tenant], label=x_tenant)


    @app.get("/agents")
    async def agents(chatloom: Annotated[AsyncChatloom, Depends(tenant)]) -> AgentList:
        return await chatloom.list_agents()

It is a file of its own, because FastAPI resolves annotations in the module, and asgi.py imports no framework.
"""

from typing import Annotated

from ..client import AsyncChatloom
from ..wire.errors import needed_by
from .asgi import chatloom, lifespan

with needed_by("The dependency for FastAPI", "fastapi", "starlette"):
    from fastapi import Depends
    from fastapi.requests import HTTPConnection

__all__ = ["Chatloom", "dependency", "lifespan"]


def dependency(connection: HTTPConnection) -> AsyncChatloom:
    """The application's client, for requests and WebSockets. Tests replace it through `app.dependency_overrides`."""
    return chatloom(connection)


Chatloom = Annotated[AsyncChatloom, Depends(dependency)]
"""The type of a path operation's parameter that receives the application's client."""
