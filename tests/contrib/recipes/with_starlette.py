from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatloom_async.contrib.asgi import chatloom, lifespan


async def domains(request: Request) -> JSONResponse:
    return JSONResponse([*await chatloom(request).get_allowed_domains(request.path_params["agent_id"])])


app = Starlette(routes=[Route("/agents/{agent_id}/domains", domains)], lifespan=lifespan())
