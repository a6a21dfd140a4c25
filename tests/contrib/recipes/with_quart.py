from collections.abc import AsyncIterator

from quart import Quart

from chatloom_async import AsyncChatloom

app = Quart(__name__)


@app.while_serving
async def chatloom() -> AsyncIterator[None]:
    async with AsyncChatloom() as app.chatloom:  # type: ignore[attr-defined]
        yield


@app.get("/agents/<agent_id>/domains")
async def domains(agent_id: str) -> list[str]:
    return [*await app.chatloom.get_allowed_domains(agent_id)]  # type: ignore[attr-defined]
