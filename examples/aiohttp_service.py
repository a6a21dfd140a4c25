"""An aiohttp.web service with one client for all of its requests. Needs CHATLOOM_API_KEY; stop it with Ctrl-C."""

from collections.abc import AsyncIterator

from aiohttp import web

from chatloom_async import AsyncChatloom, NotFoundError

CHATLOOM = web.AppKey("chatloom", AsyncChatloom)


async def domains(request: web.Request) -> web.Response:
    try:
        return web.json_response([*await request.app[CHATLOOM].get_allowed_domains(request.match_info["id"])])
    except NotFoundError as error:
        return web.json_response({"error": error.message}, status=404)


async def chatloom(app: web.Application) -> AsyncIterator[None]:
    async with AsyncChatloom() as app[CHATLOOM]:
        yield


app = web.Application()
app.add_routes([web.get("/agents/{id}/domains", domains)])
app.cleanup_ctx.append(chatloom)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8080)
