"""The subjects of the probes that have several: imports, kinds of fan-out, numbers of calls, formats of reports."""

IMPORTS = {
    "aiohttp": "import aiohttp",
    "chatloom_async": "from chatloom_async import AsyncChatloom",
    "gidgethub": "from gidgethub.aiohttp import GitHubAPI",
    "slack_sdk": "from slack_sdk.web.async_client import AsyncWebClient",
    "elastic-transport": "from elastic_transport import AsyncTransport",
    "azure-core": "from azure.core import AsyncPipelineClient",
    "aiogram": "from aiogram import Bot",
    "openai": "from openai import AsyncOpenAI",
    "httpx": "from httpx import AsyncClient",
    "niquests": "from niquests import AsyncSession",
    "pyreqwest": "from pyreqwest.client import ClientBuilder",
}
FAN_OUT = ("bare pool", "fan_out, one key", "fan_out, a key each", "fan_out, a key each, shared")
SCALES = (100, 1_000, 10_000, 100_000, 1_000_000)
FORMATS = ("table", "json", "csv", "markdown", "html", "sarif", "junit", "github")
