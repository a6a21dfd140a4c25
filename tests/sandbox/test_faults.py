"""Scripted faults through every skin, and the scripts that are refused."""

from typing import Any

import pytest

from chatloom_async.sandbox import Sandbox, SandboxWorkspace
from chatloom_async.wire.errors import ConfigurationError
from tests.sandbox.skins import Ask, Clock

LIST = "/api/plugin/agents"
NO_KEY = {"error": "API key is required. Please provide it in Authorization or X-API-Key header."}


async def test_scripted_status(sandbox: Sandbox, ask: Ask) -> None:
    """`fails(429, times=2, retry_after=1)` fails two requests of that workspace, then things are as before."""
    acme, other = sandbox.add_workspace("acme", agents=0), sandbox.add_workspace("other", agents=0)
    acme.fails(429, times=2, retry_after=1)
    acme.fails(500, message="Down for a while.")
    assert (await ask(LIST, other.key))[0] == 200
    assert await ask(LIST, {}) == (401, NO_KEY)
    refused = (429, {"error": "Rate limit exceeded. Back off and retry with exponential backoff."}, "1")
    assert [await ask(LIST, acme.key, "retry-after") for _ in range(4)] == [
        refused,
        refused,
        (500, {"error": "Down for a while."}, None),
        (200, {"agents": [], "count": 0}, None),
    ]


async def test_scripted_status_with_headers(sandbox: Sandbox, ask: Ask) -> None:
    """A scripted status may be any, with any headers; one without a body has none."""
    acme = sandbox.add_workspace("acme")
    acme.fails(302, headers={"Location": "https://elsewhere.example/"})
    acme.fails(520, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    acme.fails(204)
    assert await ask(LIST, acme.key, "location") == (302, {"error": "Found"}, "https://elsewhere.example/")
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert await ask(LIST, acme.key, "retry-after") == (520, {"error": "Status 520"}, date)
    assert await ask(LIST, acme.key) == (204, b"")


async def test_scripted_mishaps(sandbox: Sandbox, clock: Clock, ask: Ask) -> None:
    """A connection breaks mid-body or before the first byte, an answer is late, a proxy answers in HTML."""
    acme = sandbox.add_workspace("acme", agents=0)
    usual = (200, {"agents": [], "count": 0}, "application/json")
    for how in ("cut", "lost", "slow", "html"):
        acme.fails(how)
    acme.fails("slow", seconds=2.5)
    answers = [await ask(LIST, acme.key, "content-type") for _ in range(6)]
    assert answers[:3] == ["cut", "lost", usual]
    assert answers[3][0::2] == (502, "text/html")
    assert answers[3][1].startswith(b"<html>")
    assert answers[4:] == [usual, usual]
    assert clock.slept == [1.0, 2.5]


async def test_fault_for_a_path(sandbox: Sandbox, ask: Ask) -> None:
    """A fault with `on` waits for a fitting path; one with times=None lasts until the workspace recovers."""
    acme = sandbox.add_workspace("acme", agents=1)
    domains = f"{LIST}/{acme.agents[0].id}/allowed-domains"
    acme.fails(503, times=None, on="*/allowed-domains")
    asked = [(await ask(path, acme.key))[0] for path in (LIST, domains, LIST, domains)]
    acme.recovers()
    assert [*asked, (await ask(domains, acme.key))[0]] == [200, 503, 200, 503, 200]


async def test_faults_are_no_load(sandbox: Sandbox, ask: Ask) -> None:
    """Failed requests do not use up the rate limit, but they are counted."""
    acme = sandbox.add_workspace("acme", agents=0)
    acme.fails(500, times=100)
    assert [(await ask(LIST, acme.key))[0] for _ in range(160)] == [500] * 100 + [200] * 60
    assert (acme.requests, sandbox.requests) == (160, 160)


@pytest.mark.parametrize(
    ("how", "options"),
    [
        (True, {}),
        (199, {}),
        (600, {}),
        ("status", {}),
        ("explodes", {}),
        (429, {"times": 0}),
        (429, {"times": 1.5}),
        (429, {"times": -1}),
        (429, {"on": None}),
        (429, {"seconds": 1}),
        (429, {"retry_after": "1\r\nX-Evil: 1"}),
        (302, {"headers": {"Loca tion": "x"}}),
        (302, {"headers": "x"}),
        (500, {"message": b"x"}),
        ("slow", {"seconds": -1}),
        ("slow", {"seconds": float("inf")}),
        ("slow", {"seconds": "1"}),
        ("slow", {"retry_after": 1}),
        ("cut", {"seconds": 1, "message": "x"}),
        ("html", {"unheard_of": 1}),
    ],
)
def test_impossible_faults(acme: SandboxWorkspace, how: Any, options: dict[str, Any]) -> None:
    """A fault that could not happen, or an option that would mean nothing, is refused when it is scripted."""
    with pytest.raises(ConfigurationError, match="fault"):
        acme.fails(how, **options)
    assert acme.faults == ()


def test_what_a_refusal_says(acme: SandboxWorkspace) -> None:
    """The message names what does not fit."""
    with pytest.raises(ConfigurationError, match=r"^A cut fault has no option 'message', only times, on\."):
        acme.fails("cut", seconds=1, message="x")
    with pytest.raises(ConfigurationError, match=r"^A 429 fault has no option 'time', only times, on, headers"):
        acme.fails(429, time=2)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match=r"^'explodes' is not a fault: use a status from 200 to 599, or slow"):
        acme.fails("explodes")  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [500, "slow", "cut", "html"])
async def test_a_fault_gives_head_no_body(acme: SandboxWorkspace, ask: Ask, how: Any) -> None:
    """As HTTP demands, and the same headers; there is nothing that could be cut."""
    acme.fails(how)
    status, kind = {500: 500, "html": 502}.get(how, 405), "text/html" if how == "html" else "application/json"
    assert await ask("/api/plugin/agents", acme.key, "content-type", method="HEAD") == (status, b"", kind)


def test_a_workspace_that_is_not_there_is_named_with_those_that_are() -> None:
    """Or with the word that there is none."""
    sandbox = Sandbox()
    with pytest.raises(KeyError, match="There is no workspace 'acme': there are none\""):
        sandbox["acme"]
    sandbox.add_workspace("birch")
    with pytest.raises(KeyError, match="There is no workspace 'acme': there are birch\""):
        sandbox["acme"]
