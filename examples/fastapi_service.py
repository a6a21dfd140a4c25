"""A FastAPI service with one client for all of its requests: CHATLOOM_API_KEY=... fastapi run fastapi_service.py"""

from fastapi import FastAPI, HTTPException

from chatloom_async import NotFoundError
from chatloom_async.contrib.fastapi import Chatloom, lifespan

app = FastAPI(lifespan=lifespan())


@app.get("/agents/{agent_id}/domains")
async def domains(agent_id: str, chatloom: Chatloom) -> list[str]:
    try:
        return [*await chatloom.get_allowed_domains(agent_id)]
    except NotFoundError as error:
        raise HTTPException(404, error.message) from error
