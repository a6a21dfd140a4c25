"""The application: two pages and their files, for browsers on this machine. Reads and draws nothing itself."""

import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from chatloom_async import AsyncChatloom, Transport
from chatloom_async.audit import Workspace

from . import pages
from .reading import cached, connected, read, read_all

CHATLOOM = web.AppKey("chatloom", AsyncChatloom)
WORKSPACES = web.AppKey("workspaces", dict[str, Workspace])  # by their slugs
HERE = {"127.0.0.1", "localhost", "[::1]"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # what is on a page is nobody's business but the reader's
}
routes = web.RouteTableDef()


@routes.get("/")
async def overview(request: web.Request) -> web.Response:
    readings = await read_all(request.app[WORKSPACES].values(), request.app[CHATLOOM])
    return html(pages.overview(readings))


@routes.get("/workspaces/{slug}")
async def workspace(request: web.Request) -> web.Response:
    found = request.app[WORKSPACES].get(request.match_info["slug"])
    if found is None:
        return html(pages.missing(), status=404)
    return html(pages.workspace(await read(found, request.app[CHATLOOM])))


def html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


@web.middleware
async def only_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A site elsewhere that lets its own name lead to this machine could read along: it is told nothing."""
    if request.host.rpartition(":")[0] not in HERE and request.host not in HERE:
        raise web.HTTPMisdirectedRequest(text="This dashboard answers to 127.0.0.1 and localhost only.")
    return await handler(request)


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def dashboard(
    workspaces: Iterable[Workspace], transport: Transport, clock: Callable[[], float] = time.monotonic
) -> web.Application:
    """The application for these workspaces. It closes the transport when it ends."""
    cache = cached(transport, clock)

    async def client(app: web.Application) -> AsyncIterator[None]:
        async with connected(cache) as app[CHATLOOM]:
            yield
        await cache.aclose()

    app = web.Application(middlewares=[only_here])
    app[WORKSPACES] = {pages.slug(each): each for each in workspaces}
    app.add_routes([*routes, web.static("/files", Path(__file__).with_name("files"))])
    app.on_response_prepare.append(protect)
    app.cleanup_ctx.append(client)
    return app
