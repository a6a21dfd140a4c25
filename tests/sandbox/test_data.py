"""The seeded data: the same everywhere, plausible, and with what an audit is there to find."""

import os
import re
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatloom_async.sandbox import Sandbox, StoredAgent
from chatloom_async.sandbox.seed import TODAY, TROUBLES, brand, seeded_agents

RESERVED = re.compile(r"[a-z0-9.-]+\.(example|example\.(com|org|net))")  # RFC 2606
ODD_COLOURS = {"#FFE066", "#FFF3BF", "purple", "#12345"}
PINNED = StoredAgent(
    id="agt_xygwmkrkrjpw",
    name="Technical Support",
    primary_color="#0369A1",
    secondary_color="#0C4A6E",
    position="top-left",
    template="modern",
    status="active",
    created_at=datetime(2025, 12, 31, 21, 3, 45, 186000, tzinfo=UTC),
    domains=("acme.example",),
)


def test_the_same_in_every_version() -> None:
    """The first workspace of the documentation is pinned, since examples and snapshots rely on it."""
    acme = Sandbox(seed=7).add_workspace("acme", agents=12)
    assert acme.agents[0] == PINNED
    assert acme.key.reveal() == "clf_CfPE8iubNR-yBUhaXVrHyMOb09uanuz-"


def test_the_same_in_every_process() -> None:
    """Neither hash randomization nor what was read before changes anything."""
    program = (
        "from chatloom_async.sandbox import Sandbox\n"
        "sandbox = Sandbox(seed=7)\n"
        "both = [sandbox.add_workspace(name) for name in ('acme', 'other')]\n"
        "read = {each.name: each.agents for each in (both if ORDER else both[::-1])}\n"
        "print([(each.key.reveal(), each.rotate_key().reveal(), read[each.name]) for each in both])\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program.replace("ORDER", order)],
            env={**os.environ, "PYTHONHASHSEED": order, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            check=True,
        ).stdout
        for order in ("0", "1")
    }
    assert len(printed) == 1


def test_seeds_and_names_differ() -> None:
    """Another seed or another name gives other keys, ids and agents."""
    made = [Sandbox(seed=seed).add_workspace(name, agents=1) for seed in (1, 2) for name in ("a", "b")]
    assert len({each.key for each in made}) == 4
    assert len({each.agents[0].id for each in made}) == 4


def test_tidy_data() -> None:
    """Without trouble, every field is as the documentation says, names differ, and all domains are reserved ones."""
    agents = seeded_agents(3, "acme", 60, trouble=0)
    assert len({agent.name for agent in agents}) == len({agent.id for agent in agents}) == 60
    for agent in agents:
        assert re.fullmatch(r"agt_[a-z2-7]{12}", agent.id)
        assert re.fullmatch(r"#[0-9A-Fa-f]{6} #[0-9A-Fa-f]{6}", f"{agent.primary_color} {agent.secondary_color}")
        assert agent.position in ("bottom-right", "bottom-left", "top-right", "top-left")
        assert (agent.status, agent.created_at < TODAY) == ("active", True)
        assert all(RESERVED.fullmatch(domain) for domain in agent.domains)
        assert 1 <= len(agent.domains) == len(set(agent.domains)) <= 4


def test_every_trouble_occurs() -> None:
    """With trouble for all, a workspace as large as the list of troubles has each of them once."""
    agents = seeded_agents(3, "acme", len(TROUBLES), trouble=1)
    domains = {domain for agent in agents for domain in agent.domains if not RESERVED.fullmatch(domain)}
    found = {re.sub(r"^203\.0\.113\.\d+$", "203.0.113.n", domain) for domain in domains}
    assert found == {
        "*",
        "*.acme.example",
        "localhost",
        "http://www.acme.example/chat",
        "acme.example:8443",
        "203.0.113.n",
        "co.uk",
        "Acme.Example",
        "acme.example.",
    }
    lookalikes = {domain for agent in agents for domain in agent.domains if domain.startswith("xn--")}
    assert {lookalike.encode().decode("idna") for lookalike in lookalikes} == {"p\u0430y-acme.example"}
    assert sum(agent.domains == () for agent in agents) == 1
    assert sum("preview.webstudio.example" in agent.domains for agent in agents) == 1
    assert sorted(agent.name.strip() for agent in agents)[:2] == ["", ""]
    assert len({agent.name for agent in agents}) == len(agents) - 1
    assert [agent.status for agent in agents].count("paused") == 1
    assert [agent.created_at for agent in agents if agent.created_at > TODAY] == [
        datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)
    ]
    assert {colour for agent in agents for colour in (agent.primary_color, agent.secondary_color)} >= ODD_COLOURS


def test_share_of_trouble() -> None:
    """A quarter of the agents, on average, is not as tidy as in the same sandbox without trouble."""
    odd = tidy = 0
    for number in range(100):
        for agent in seeded_agents(1, f"w{number}", 12, trouble=0.25):
            last = agent.domains[-1:]
            is_odd = (
                not agent.name.strip()
                or not {agent.primary_color, agent.secondary_color}.isdisjoint(ODD_COLOURS)
                or agent.status != "active"
                or agent.created_at > TODAY
                or not all(RESERVED.fullmatch(domain) for domain in last)
                or last in {(), ("preview.webstudio.example",)}
                or "xn--" in last[0]
            )
            odd, tidy = odd + is_odd, tidy + (not is_odd)
    assert (odd + tidy, 240 <= odd <= 320) == (1200, True)  # 300, of which those with a neighbour's name are not seen


@pytest.mark.parametrize(
    ("name", "label"),
    [("acme", "acme"), ("Müller & Co", "muller-co"), ("--x--", "x"), ("株式会社", "brand"), ("a" * 80, "a" * 40)],
)
def test_brand(name: str, label: str) -> None:
    """A workspace's name becomes a label that fits into a host name."""
    assert brand(name) == label


def test_twenty_thousand_workspaces() -> None:
    """20,000 workspaces with 12 agents each take less than 60 MB, and each is found by its key."""
    tracemalloc.start()
    try:
        sandbox = Sandbox(seed=7)
        for number in range(20_000):
            sandbox.add_workspace(f"customer-{number:05}", agents=12)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 60e6
    assert len({workspace.key for workspace in sandbox}) == len(sandbox) == 20_000
