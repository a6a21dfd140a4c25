from fastapi import FastAPI

from chatloom_async.contrib.fastapi import Chatloom, lifespan

app = FastAPI(lifespan=lifespan())


@app.get("/agents/{agent_id}/domains")
async def domains(agent_id: str, chatloom: Chatloom) -> list[str]:
    return [*await chatloom.get_allowed_domains(agent_id)]
