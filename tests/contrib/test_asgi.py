"""The lifespan and the dependency: one client for the life of an application, and never two."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from chatloom_async import AsyncChatloom, ClientClosedError, MockTransport, UsageError
from chatloom_async.contrib.asgi import chatloom, lifespan
from chatloom_async.contrib.fastapi import Chatloom, dependency
from tests.contrib.serving import serving
from tests.samples import KEY, api

CLIENTS: list[AsyncChatloom] = []


def connect() -> AsyncChatloom:
    """A client in memory, remembered for the test."""
    CLIENTS.append(AsyncChatloom(KEY, transport=MockTransport(api)))
    return CLIENTS[-1]


@pytest.fixture(autouse=True)
def _no_clients_yet() -> None:
    CLIENTS.clear()


async def number(request: Request) -> PlainTextResponse:
    """Which client the request gets, by its number, and what else is in the state."""
    others = sorted(set(vars(request.state)["_state"]) - {"chatloom"})
    return PlainTextResponse(" ".join([str(CLIENTS.index(chatloom(request))), *others]))


async def test_every_request_gets_the_one_client_of_the_application() -> None:
    """Mounted applications, too: the state comes down to them, where `request.app` would be another one."""
    routes = [Route("/", number), Mount("/inner", Starlette(routes=[Route("/", number)]))]
    async with serving(Starlette(routes=routes, lifespan=lifespan(connect))) as http:
        assert [(await http.get(path)).text for path in ("/", "/", "/inner/")] == ["0", "0", "0"]
        assert len(await CLIENTS[0].list_agents()) == 1
    with pytest.raises(ClientClosedError):
        await CLIENTS[0].list_agents()


async def test_an_application_that_starts_again_gets_a_new_client() -> None:
    """As it does in an application's own tests, once for each of them."""
    app = Starlette(routes=[Route("/", number)], lifespan=lifespan(connect))
    for each in ("0", "1"):
        async with serving(app) as http:
            assert (await http.get("/")).text == each


async def test_it_composes_with_the_applications_own_lifespan() -> None:
    """Whose state goes on to the requests beside the client, and which can use the client itself."""
    seen: list[Any] = []

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with lifespan(connect)(app) as state:
            seen.append(len(await state["chatloom"].list_agents()))
            yield {**state, "database": "open"}

    async with serving(Starlette(routes=[Route("/", number)], lifespan=own)) as http:
        assert ((await http.get("/")).text, seen) == ("0 database", [1])


async def test_it_can_be_the_lifespan_of_a_router() -> None:
    """FastAPI joins the states of an application and its routers."""
    router = APIRouter(lifespan=lifespan(connect))

    @router.get("/")
    async def count(chatloom: Chatloom) -> int:
        return (await chatloom.list_agents()).count

    app = FastAPI()
    app.include_router(router)
    async with serving(app) as http:
        assert (await http.get("/")).json() == 1


async def test_the_dependency_can_be_overridden() -> None:
    """A test of an application puts a client of its own in the place, without a lifespan."""
    app = FastAPI()

    @app.get("/")
    async def count(chatloom: Chatloom) -> int:
        return (await chatloom.list_agents()).count

    app.dependency_overrides[dependency] = connect
    async with serving(app) as http:
        assert ((await http.get("/")).json(), len(CLIENTS)) == (1, 1)
    assert list(app.openapi()["paths"]["/"]["get"]) == ["summary", "operationId", "responses"]


async def test_a_missing_lifespan_is_pointed_out() -> None:
    """Instead of an attribute that is not there."""
    async with serving(Starlette(routes=[Route("/", number)])) as http:
        with pytest.raises(UsageError, match="pass it lifespan=lifespan"):
            await http.get("/")
