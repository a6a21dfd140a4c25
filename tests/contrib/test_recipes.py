"""Every recipe of a dozen lines or so answers from the API, in the framework that it is for."""

import re
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient as AiohttpClient
from aiohttp.test_utils import TestServer as AiohttpServer

from chatloom_async import Sandbox
from tests.contrib.serving import serving

RECIPES = Path(__file__).parent / "recipes"
PAGE = Path(__file__).parent.parent.parent / "examples" / "README.md"
ASGI = ["starlette", "fastapi", "litestar", "quart"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, chatloom_sandbox: Sandbox, chatloom_server: str) -> None:
    """A recipe takes key and address from where a user's program takes them."""
    monkeypatch.setenv("CHATLOOM_API_KEY", chatloom_sandbox["acme"].key.reveal())
    monkeypatch.setenv("CHATLOOM_BASE_URL", chatloom_server)


def test_the_page_shows_recipes_as_they_are() -> None:
    """A block of the examples' page that is marked python3 is one of the files that run here, to the letter."""
    blocks = re.findall(r"^```python3\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert set(blocks) <= {recipe.read_text("utf-8") for recipe in RECIPES.glob("*.py")}


def load(framework: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The recipe's application."""
    pytest.importorskip(framework, reason=f"{framework} is of the dependency group hosts")
    path = RECIPES / f"with_{framework}.py"
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)  # Litestar looks up the types of a handler there
    spec.loader.exec_module(module)
    return module.app


@pytest.mark.parametrize("framework", ASGI)
async def test_an_asgi_recipe_answers_from_the_api(
    framework: str, chatloom_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the start of the application to its end."""
    agent = chatloom_sandbox["acme"].agents[0]
    async with serving(load(framework, monkeypatch)) as http:
        answer = await http.get(f"/agents/{agent.id}/domains")
        assert answer.json() == list(agent.domains)


async def test_the_aiohttp_recipe_answers_from_the_api(
    chatloom_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by aiohttp's own test client."""
    agent = chatloom_sandbox["acme"].agents[0]
    async with AiohttpClient(AiohttpServer(load("aiohttp", monkeypatch))) as http:
        answer = await http.get(f"/agents/{agent.id}/domains")
        assert await answer.json() == list(agent.domains)


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.py")), ids=lambda path: path.name)
def test_a_recipe_is_short(recipe: Path) -> None:
    """Fifteen lines of code or less, so that it can be read at a glance."""
    lines = [line for line in recipe.read_text("utf-8").splitlines() if line.strip()]
    assert len(lines) <= 15
