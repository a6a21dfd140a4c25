"""The dashboard in Chromium: by keyboard, for a screen reader, in the dark, on a phone, and kept up to date."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chatloom_async import Sandbox
from chatloom_async.audit import Workspace
from examples.dashboard.app import WORKSPACES, dashboard
from examples.dashboard.demo import demo
from examples.dashboard.pages import slug
from tests.audit.formats.reported import HOSTILE
from tests.chromium import MARKS, obstacles, running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is of the dependency group browser")

pytestmark = MARKS

Open = Callable[..., Any]
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 800}},
}
PAGES = {slug(each): f"/workspaces/{slug(each)}" for each in demo()[WORKSPACES].values()} | {"overview": "/"}


@contextmanager
def served(app: web.Application) -> Iterator[str]:
    """The application on a port of this machine, in an event loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = TestServer(app)
    asyncio.run_coroutine_threadsafe(server.start_server(), loop).result()
    yield str(server.make_url("")).rstrip("/")
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for the module."""
    with running(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """That of the made-up workspaces."""
    with served(demo()) as address:
        yield address


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page; in the end, its console must be empty, and only its own server must have been asked."""
    said: list[str] = []
    contexts = []

    def open_page(address: str, path: str = "/", **options: Any) -> Any:
        contexts.append(context := browser.new_context(base_url=address, **options))
        context.set_default_timeout(10_000)
        context.on("request", lambda request: request.url.startswith(address) or said.append(request.url))
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.clock.install()
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_everybody_can_use_it(opened: Open, address: str, tmp_path: Path, path: str, screen: str) -> None:
    """axe-core finds nothing serious in any state, on any screen. A picture is left in pytest's folder."""
    page = opened(address, path, **SCREENS[screen], bypass_csp=True)  # so that the checker may be loaded
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert obstacles(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=tmp_path / "page.png", full_page=True)


def test_the_keyboard_leads_everywhere(opened: Open, address: str) -> None:
    """To a workspace, to why a finding matters, to the agent that it is about, and back."""
    page = opened(address)
    page.keyboard.press("Tab")
    playwright.expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("main")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    playwright.expect(page.get_by_role("link", name="Dogwood Bikes")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_text("agent-color-invalid").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_text("What to do:").filter(visible=True)).to_have_count(1)
    page.get_by_role("link", name="Store Finder").focus()
    page.keyboard.press("Enter")
    playwright.expect(
        page.get_by_role("listitem").filter(has=page.locator("h3", has_text="Store Finder"))
    ).to_be_in_viewport()
    page.get_by_role("link", name="All workspaces").focus()
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("heading", name="5 of 6 workspaces need attention")).to_be_visible()


def test_the_whole_row_is_the_link(opened: Open, address: str) -> None:
    """For those who point."""
    page = opened(address)
    page.get_by_role("row").filter(has_text="Dogwood Bikes").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("Dogwood Bikes")


def test_the_page_follows_what_happens(opened: Open) -> None:
    """Half a minute later, without a reload; but not under the hands of somebody who is in it."""
    sandbox, now = Sandbox(seed=7, rate_limit=None), [0.0]
    acme = sandbox.add_workspace("acme", agents=1)
    app = dashboard([Workspace("acme", acme.key)], sandbox.transport(), lambda: now[0])
    with served(app) as address:
        page = opened(address)
        playwright.expect(page.get_by_text("1 agent").last).to_be_visible()
        acme.add_agent(name="New Desk", domains=["acme.example"])
        now[0] = 31.0
        page.get_by_role("link", name="acme").focus()
        page.clock.fast_forward(31_000)
        playwright.expect(page.get_by_role("status")).to_have_text("Paused while you read")
        playwright.expect(page.get_by_text("1 agent").last).to_be_visible()
        page.evaluate("document.activeElement.blur()")
        page.clock.fast_forward(31_000)
        playwright.expect(page.get_by_text("2 agents").last).to_be_visible()
        playwright.expect(page.get_by_role("status")).to_have_text("Live")


def test_nothing_that_a_tenant_writes_acts(opened: Open) -> None:
    """All of it on one page: no dialog, no request, nothing in the console."""
    sandbox = Sandbox(rate_limit=None)
    acme = sandbox.add_workspace("<script>alert(1)</script>", agents=0)
    texts = [text for text in HOSTILE.values() if text.encode(errors="ignore").decode() == text]  # JSON carries these
    for text in texts:
        acme.add_agent(**dict.fromkeys(("name", "primary_color", "secondary_color", "template"), text), domains=[text])
    workspace = Workspace(acme.name, acme.key, tags=tuple(texts))
    with served(dashboard([workspace], sandbox.transport())) as address:
        page = opened(address, f"/workspaces/{slug(workspace)}")
        assert page.get_by_role("heading", level=1).inner_text() == acme.name
        assert page.locator(".card").count() == len(texts) > 25


def test_it_does_without_scripts(opened: Open, address: str) -> None:
    """Everything is there, and the page does not claim to be live."""
    page = opened(address, java_script_enabled=False)
    playwright.expect(page.get_by_role("status")).to_have_text("Reload to read again")
    playwright.expect(page.get_by_role("link", name="Dogwood Bikes")).to_be_visible()
