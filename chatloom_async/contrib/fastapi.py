"""The application's client as a FastAPI dependency. In its own file: FastAPI resolves annotations in the module."""

from typing import Annotated

from ..client import AsyncChatloom
from ..wire.errors import needed_by
from .asgi import chatloom, lifespan

with needed_by("The dependency for FastAPI", "fastapi", "starlette"):
    from fastapi import Depends
    from fastapi.requests import HTTPConnection

__all__ = ["Chatloom", "dependency", "lifespan"]


def dependency(connection: HTTPConnection) -> AsyncChatloom:
    """The application's client, for requests and WebSockets. Tests replace it through `app.dependency_overrides`."""
    return chatloom(connection)


Chatloom = Annotated[AsyncChatloom, Depends(dependency)]
"""The type of a path operation's parameter that shall be the application's client."""
