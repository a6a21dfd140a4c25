"""azure-core, what Azure's SDKs stand on, with the policies that a generated SDK has, on its aiohttp transport."""

from contextlib import asynccontextmanager
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.configuration import Configuration
from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline import policies
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from ..answers import AGENTS, KEY
from .bare_aiohttp import session
from .interface import Opened


def _configuration() -> Configuration[Any, Any]:
    made: Configuration[Any, Any] = Configuration()
    made.headers_policy = policies.HeadersPolicy({"Accept": "application/json"})
    made.user_agent_policy = policies.UserAgentPolicy("benchmark")
    credential = AzureKeyCredential(KEY)
    made.authentication_policy = policies.AzureKeyCredentialPolicy(credential, "Authorization", prefix="Bearer")
    made.retry_policy = policies.AsyncRetryPolicy()
    made.redirect_policy = policies.AsyncRedirectPolicy()
    made.logging_policy = policies.NetworkTraceLoggingPolicy()
    return made


@asynccontextmanager
async def send_request(url: str) -> Opened:
    """A request through the pipeline of a generated SDK."""
    async with session() as http:
        transport = AioHttpTransport(session=http, session_owner=False)
        async with AsyncPipelineClient(url, config=_configuration(), transport=transport) as client:

            async def call() -> object:
                request = HttpRequest("GET", AGENTS)
                request.url = client.format_url(request.url)
                response = await client.send_request(request)
                response.raise_for_status()
                return response.json()

            yield call
