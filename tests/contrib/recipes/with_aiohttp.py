from collections.abc import AsyncIterator

from aiohttp import web

from chatloom_async import AsyncChatloom

CHATLOOM = web.AppKey("chatloom", AsyncChatloom)


async def chatloom(app: web.Application) -> AsyncIterator[None]:
    async with AsyncChatloom() as app[CHATLOOM]:
        yield


async def domains(request: web.Request) -> web.Response:
    return web.json_response([*await request.app[CHATLOOM].get_allowed_domains(request.match_info["agent_id"])])


app = web.Application()
app.add_routes([web.get("/agents/{agent_id}/domains", domains)])
app.cleanup_ctx.append(chatloom)
