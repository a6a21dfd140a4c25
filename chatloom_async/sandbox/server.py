"""The sandbox as a real HTTP server on a loopback port, with connections that really break.

It only adapts: routes.py decides. The only file of the sandbox that imports aiohttp.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from .faults import Scripted
from .routes import Handler, SandboxRequest
from .transport import Sleep

KEY_HEADERS = ("Authorization", "X-API-Key")
CLOSING = 0.05  # seconds that requests in flight get when the server closes


class SandboxServer:
    """Answers aiohttp's requests. aiohttp.web's low-level server calls it for every path and method."""

    def __init__(self, answer: Handler, sleep: Sleep) -> None:
        self._answer = answer
        self._sleep = sleep

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        authorization, x_api_key = (", ".join(request.headers.getall(name, ())) for name in KEY_HEADERS)
        answer = self._answer(SandboxRequest(request.method, request.raw_path, authorization, x_api_key))
        if isinstance(answer, Scripted):
            return await self._played(request, answer)
        return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)

    async def _played(self, request: web.BaseRequest, scripted: Scripted) -> web.StreamResponse:
        if scripted.wait:
            await self._sleep(scripted.wait)
        response, body = scripted.response, scripted.response.body
        if scripted.ends == "whole":
            return web.Response(status=response.status, headers=dict(response.headers), body=body)
        broken = web.StreamResponse(status=response.status, headers=dict(response.headers))
        if scripted.ends == "cut":
            broken.content_length = len(body)
            await broken.prepare(request)
            if request.method != "HEAD":
                await broken.write(body[: len(body) // 2])
        request.protocol.force_close()
        return broken  # aiohttp drops the rest, because the connection is closed


@asynccontextmanager
async def serving(server: SandboxServer, host: str, port: int) -> AsyncIterator[str]:
    """Serves while the context is open; its value is the base URL. Closing cuts off requests in flight."""
    runner = web.ServerRunner(web.Server(server, handler_cancellation=True, access_log=None), shutdown_timeout=CLOSING)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound: tuple[str, int] = runner.addresses[0][:2]
        yield f"http://[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"http://{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()
