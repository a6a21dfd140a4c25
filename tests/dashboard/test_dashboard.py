"""The dashboard of examples/dashboard over HTTP: what its pages say of every state, and what they never do."""

import asyncio
import html
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from chatloom_async import Sandbox
from chatloom_async.audit import KeyEnv, Workspace
from examples.dashboard.app import HEADERS, dashboard
from examples.dashboard.demo import demo
from examples.dashboard.pages import slug
from tests.audit.formats.reported import HOSTILE
from tests.raw_server import free_port

ACME = "/workspaces/acme-c27a50c5"  # so that bookmarks stay valid
HERE = Path(__file__).parents[2] / "examples" / "dashboard"

Browser = TestClient[web.Request, web.Application]


class Clock:
    """A clock that stands still unless it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def listed(sandbox: Sandbox) -> list[Workspace]:
    """The sandbox's workspaces, as a file would list them."""
    return [Workspace(each.name, each.key) for each in sandbox]


@asynccontextmanager
async def visited(app: web.Application) -> AsyncIterator[Browser]:
    """A browser that looks at the running application."""
    async with TestClient(TestServer(app)) as browser:
        yield browser


async def shown(browser: Browser, path: str = "/") -> str:
    """A page's content as its source has it."""
    async with browser.get(path) as answer:
        assert answer.status == 200
        return (await answer.text()).partition("<main")[2]


def words(source: str) -> str:
    """What a reader sees of it."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split())


async def test_the_overview_has_those_first_that_need_attention() -> None:
    """One line each: its connection, agents, findings and the age of all that."""
    async with visited(demo()) as browser:
        page = await shown(browser)
    rows = [words(row) for row in re.findall(r"<tr>\n<th scope=\"row\">(.*?)</tr>", page, re.DOTALL)]
    assert words(page.partition("</h1>")[0]).endswith("5 of 6 workspaces need attention")
    assert [re.sub(r"\d+ s ago|just now", "_", row) for row in rows] == [
        "Cedar Books Key refused not known not read",
        "Fir Legal No key not known not read",
        "Birch & Sons Out of date 4 agents 1 error _",
        "Dogwood Bikes retail Up to date 6 agents 2 errors 2 warnings _",
        "Acorn Outfitters retail eu Up to date 5 agents 2 errors _",
        "Elm Street Bakery trial No agents 0 agents _",
    ]


async def test_a_card_has_all_that_the_api_says_of_an_agent() -> None:
    """Its colours painted and spelled, and its domains with what is wrong about them."""
    sandbox = Sandbox(rate_limit=None)
    sandbox.add_workspace("acme", agents=0).add_agent(id="agt_1", domains=["acme.example", "*"], position="top-left")
    async with visited(dashboard(listed(sandbox), sandbox.transport())) as browser:
        page = await shown(browser, ACME)
    card = page.partition('id="agent-agt_1"')[2]
    assert words(card.partition(">")[2].partition("</main>")[0]) == (
        "Sales Assistant agt_1 Primary colour #611F69 Secondary colour #764ba2 Position top-left Template modern "
        "Status active Created 15 Jan 2026 Allowed domains acme.example error: *"
    )
    assert re.findall(r'<rect [^>]*fill="([^"]*)"', card) == ["#611F69", "#764ba2"]
    assert 'cx="10" cy="10"' in card
    assert "domain-wildcard" in page.partition("What to do:")[0]


async def test_fifty_page_loads_are_one_request_for_each_address() -> None:
    """Those at the same time share it, and later ones get what it gave until that is half a minute old."""
    sandbox, clock = Sandbox(seed=7, rate_limit=None), Clock()
    sandbox.add_workspace("acme", agents=3)
    async with visited(dashboard(listed(sandbox), sandbox.transport(), clock)) as browser:
        pages = await asyncio.gather(*(shown(browser, ACME) for _ in range(50)))
        assert (len(set(pages)), sandbox.requests) == (1, 1 + 3)
        clock.now = 29.0
        assert "read 29 s ago" in await shown(browser, ACME)
        assert sandbox.requests == 1 + 3
        clock.now = 30.0
        assert "read just now" in await shown(browser, ACME)
        assert sandbox.requests == 2 * (1 + 3)


async def test_an_outage_leaves_what_was_read_before_with_its_age() -> None:
    """For an hour; then nothing is left to show."""
    sandbox, clock = Sandbox(seed=7, rate_limit=None), Clock()
    acme = sandbox.add_workspace("acme", agents=1)
    async with visited(dashboard(listed(sandbox), sandbox.transport(), clock)) as browser:
        await shown(browser)
        acme.fails(503, times=None)
        clock.now = 600.0
        assert "Out of date from 10 min ago" in words(await shown(browser, ACME))
        assert acme.agents[0].name in await shown(browser, ACME)
        clock.now = 3631.0
        told = words(await shown(browser, ACME))
        assert "No answer Nothing was read before, either." in told
        assert acme.agents[0].name not in told


Mishap = Callable[[Sandbox], Any]
STATES: dict[str, tuple[Mishap, str]] = {
    "dead key": (lambda sandbox: sandbox["acme"].rotate_key(), "Key refused Perhaps a newer one was generated."),
    "outage": (lambda sandbox: sandbox["acme"].fails(500, times=None), "No answer Nothing was read before, either."),
    "some lost": (
        lambda sandbox: sandbox["acme"].fails(500, times=2, on="*/allowed-domains"),
        "Incomplete Some agents could not be read.",
    ),
    "no agents": (lambda sandbox: sandbox["acme"].remove_agent("agt_1"), "No agents The key works, and"),
    "all well": (lambda sandbox: None, "Findings The audit found nothing to say about this workspace."),
}


@pytest.mark.parametrize(("mishap", "told"), STATES.values(), ids=STATES)
async def test_every_state_is_told_in_words(mishap: Mishap, told: str) -> None:
    """And in the overview by its name."""
    sandbox = Sandbox(rate_limit=None)
    sandbox.add_workspace("acme", agents=0).add_agent(id="agt_1", domains=["acme.example"])
    workspaces = listed(sandbox)
    mishap(sandbox)
    async with visited(dashboard(workspaces, sandbox.transport())) as browser:
        assert told in words(await shown(browser, ACME))


async def test_a_key_that_is_nowhere_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page names the reference, so that it can be mended."""
    monkeypatch.delenv("ACME_KEY", raising=False)
    async with visited(dashboard([Workspace("acme", KeyEnv("ACME_KEY"))], Sandbox().transport())) as browser:
        told = words(await shown(browser, ACME))
    assert "No key Put one where the workspaces file says." in told
    assert "The environment variable ACME_KEY is not set" in told


class Tags(HTMLParser):
    """The names of a page's tags and attributes, and the values that lead somewhere or paint something."""

    def __init__(self, *pages: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.acting: list[str] = []
        for page in pages:
            self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        self.acting += [value or "" for name, value in attrs if name in ("href", "fill", "stop-color", "src")]


async def tags(text: str) -> Tags:
    """Of both pages, where the file and the tenant wrote this text in every place there is."""
    sandbox = Sandbox(rate_limit=None)
    fields: dict[str, Any] = dict.fromkeys(
        ("name", "primary_color", "secondary_color", "position", "template", "status"), text
    )
    acme = sandbox.add_workspace(text, agents=0)
    acme.add_agent(**fields, id="agt_1", domains=[text])
    acme.add_agent(**{**fields, "name": "x", "primary_color": "#611F69"}, domains=["*"])
    workspaces = [Workspace(each.name, each.key, tags=(text,)) for each in sandbox]
    async with visited(dashboard(workspaces, sandbox.transport())) as browser:
        overview = await shown(browser)
        (path,) = re.findall(r'<a href="(/workspaces/[^"]*)"', overview)
        return Tags(overview, await shown(browser, path))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_what_a_tenant_writes_stays_text(text: str) -> None:
    """No tag, no attribute, no address and no paint but the page's own."""
    found, harmless = await tags(text), await tags("harmless")
    assert found.names <= harmless.names
    own = re.compile(r"/|/workspaces/[a-z0-9-]+|#[A-Za-z0-9_-]+|url\(#g[0-9]+\)")
    assert [value for value in found.acting if not own.fullmatch(value)] == []


async def test_every_answer_is_guarded() -> None:
    """Pages, files and errors: nothing from elsewhere, nothing inline, in nobody's frame, and not kept."""
    async with visited(demo()) as browser:
        for path, status in (("/", 200), ("/files/style.css", 200), ("/workspaces/<b>", 404), ("/nowhere", 404)):
            async with browser.get(path) as answer:
                assert (answer.status, {name: answer.headers[name] for name in HEADERS}) == (status, HEADERS)
                assert "<b>" not in await answer.text()


async def test_a_name_that_leads_here_from_elsewhere_is_told_nothing() -> None:
    """DNS rebinding: the request comes from this machine's browser, for another site."""
    async with visited(demo()) as browser:
        async with browser.get("/", headers={"Host": "evil.example:8086"}) as answer:
            assert (answer.status, "workspaces" in await answer.text()) == (421, False)
        async with browser.get("/", headers={"Host": "localhost"}) as answer:
            assert answer.status == 200


async def test_no_page_holds_a_key() -> None:
    """Whatever its state."""
    sandbox = Sandbox(seed=7, rate_limit=None)
    keys = [sandbox.add_workspace(name, agents=1).key.reveal() for name in ("a", "b", "c")]
    workspaces = listed(sandbox)
    sandbox["b"].rotate_key()
    sandbox["c"].fails(401, times=None, message=f"{keys[2]} is not a key")
    async with visited(dashboard(workspaces, sandbox.transport())) as browser:
        pages = [await shown(browser, path) for path in ("/", *(f"/workspaces/{slug(each)}" for each in workspaces))]
    assert [key for key in keys for page in pages if key in page] == []


async def started(*arguments: str, **environment: str) -> tuple[asyncio.subprocess.Process, str]:
    """The dashboard as a program, and the address that it prints."""
    command = ("-W", "error", "-m", "examples.dashboard", "--port", str(free_port()), *arguments)
    program = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=HERE.parents[1], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    (address,) = re.findall(r"http://[0-9.:]+", (await program.stdout.readline()).decode())
    return program, address


async def test_it_runs_without_a_key_and_ends_with_ctrl_c() -> None:
    """It prints its address, and complains about nothing."""
    program, address = await started()
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert "Acorn Outfitters" in await answer.text()
    program.send_signal(signal.SIGINT)
    _, complaints = await program.communicate()
    assert (program.returncode, complaints) == (0, b"")


async def test_it_shows_the_workspaces_of_a_file(tmp_path: Path) -> None:
    """Over the network, at the address that the environment names."""
    sandbox = Sandbox(seed=7)
    acme = sandbox.add_workspace("acme", agents=2)
    listing = tmp_path / "workspaces.toml"
    listing.write_text('[[workspaces]]\nname = "acme"\nkey_env = "ACME_KEY"\n')
    async with sandbox.serve() as url:
        program, address = await started(str(listing), ACME_KEY=acme.key.reveal(), CHATLOOM_BASE_URL=url)
        async with aiohttp.ClientSession(address) as session, session.get(ACME) as answer:
            page = await answer.text()
        program.send_signal(signal.SIGINT)
        await program.wait()
    assert [agent.name for agent in acme.agents if html.escape(agent.name) not in page] == []


def test_a_file_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    """And the program ends."""
    command = [sys.executable, "-m", "examples.dashboard", str(tmp_path / "none.toml")]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'none.toml'}: cannot be read: No such file or directory.")
    assert done.stderr.count("\n") == 1


def test_it_is_small_and_asks_nobody_for_anything() -> None:
    """Each file can be read at a glance, and no page names another server."""
    sources = {path: path.read_text("utf-8") for path in HERE.rglob("*.*") if path.suffix not in (".pyc", ".png")}
    code = {path.name: len(text.splitlines()) for path, text in sources.items() if path.suffix == ".py"}
    assert max(code.values()) <= 125
    assert sum(code.values()) <= 400
    assert [name for name, text in sources.items() if name.suffix == ".py" and not text.startswith('"""')] == []
    served = [text for path, text in sources.items() if path.parent.name in ("pages", "files")]
    assert {each for text in served for each in re.findall(r"\w+://[^\"' ]+", text)} == {"http://www.w3.org/2000/svg"}
