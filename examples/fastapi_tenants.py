"""A FastAPI service for two customers, each with a key of its own: ACME_KEY=... GLOBEX_KEY=... fastapi run FILE"""

import os
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from chatloom_async import Agent, AsyncChatloom, ChatloomError, UsageError
from chatloom_async.contrib.fastapi import Chatloom, lifespan

app = FastAPI(lifespan=lifespan(AsyncChatloom.for_many))


def tenant(chatloom: Chatloom, x_tenant: Annotated[Literal["acme", "globex"], Header()]) -> AsyncChatloom:
    return chatloom.with_key(os.environ[f"{x_tenant.upper()}_KEY"], label=x_tenant)  # or ask your database


@app.exception_handler(ChatloomError)
async def failed(request: Request, error: ChatloomError) -> JSONResponse:
    if isinstance(error, UsageError):
        raise error
    return JSONResponse({"error": type(error).__name__}, 502)


@app.get("/agents")
async def agents(chatloom: Annotated[AsyncChatloom, Depends(tenant)]) -> list[Agent]:
    return [*await chatloom.list_agents()]
