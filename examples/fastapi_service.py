"""A FastAPI service with one client for all of its requests: CHATLOOM_API_KEY=... fastapi run fastapi_service.py"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from chatloom_async import AsyncChatloom, NotFoundError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncChatloom() as app.state.chatloom:
        yield


app = FastAPI(lifespan=lifespan)


def client(request: Request) -> AsyncChatloom:
    return request.app.state.chatloom


@app.get("/agents/{agent_id}/domains")
async def domains(agent_id: str, chatloom: Annotated[AsyncChatloom, Depends(client)]) -> list[str]:
    try:
        return [*await chatloom.get_allowed_domains(agent_id)]
    except NotFoundError as error:
        raise HTTPException(404, error.message) from error
