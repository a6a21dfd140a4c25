from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, Request, get

from chatloom_async import AsyncChatloom


@asynccontextmanager
async def chatloom(app: Litestar) -> AsyncIterator[None]:
    async with AsyncChatloom() as app.state.chatloom:
        yield


@get("/agents/{agent_id:str}/domains")
async def domains(request: Request) -> list[str]:
    return [*await request.app.state.chatloom.get_allowed_domains(request.path_params["agent_id"])]


app = Litestar([domains], lifespan=[chatloom])
