"""A client for the same API as a good engineer writes it in an afternoon: aiohttp, a time limit, and retries."""

from asyncio import sleep
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass
class Agent:
    id: str
    name: str
    primaryColor: str  # noqa: N815  # as the API spells it
    secondaryColor: str  # noqa: N815
    position: str
    template: str
    status: str
    createdAt: str  # noqa: N815


class HandwrittenClient:
    def __init__(self, api_key: str, base_url: str = "https://chatloom.app", timeout: float = 15.0) -> None:
        headers, limit = {"Authorization": f"Bearer {api_key}"}, aiohttp.ClientTimeout(total=timeout)
        self.session = aiohttp.ClientSession(base_url, headers=headers, timeout=limit)

    async def list_agents(self) -> list[Agent]:
        return [Agent(**agent) for agent in (await self._get("/api/plugin/agents"))["agents"]]

    async def get_allowed_domains(self, agent_id: str) -> list[str]:
        return (await self._get(f"/api/plugin/agents/{agent_id}/allowed-domains"))["domains"]

    async def _get(self, path: str) -> Any:
        for attempt in range(3):
            wait = 0.5 * 2**attempt
            try:
                async with self.session.get(path) as response:
                    if attempt == 2 or (response.status != 429 and response.status < 500):
                        response.raise_for_status()
                        return await response.json()
                    wait = float(response.headers.get("Retry-After", wait))
            except (aiohttp.ClientConnectionError, TimeoutError):
                if attempt == 2:
                    raise
            await sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        await self.session.close()
