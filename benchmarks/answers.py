"""The documented answers as files for a static web server, one for each path below.

Written from the API's documentation, not with the package's own models: the benchmark must fail where they differ.
"""

import json
from pathlib import Path
from typing import Any

KEY = "clf_benchmark0123456789abcdef0123456789"
AGENTS = "/api/plugin/agents"
DOMAINS = "/api/plugin/agents/agt_000000/allowed-domains"
# Prefixes of AGENTS: base URLs with a path.
ONE, SEVEN, THOUSAND, TEN_THOUSAND = "/one", "/seven", "/thousand", "/ten-thousand"
# Under SEVEN, each key has domains of its own. The server takes the workspace's number from the end of the key.
NUMBERED, WORKSPACES = f"{KEY}w{{number}}", 2_000
SLACK = "/slack/agents"
TELEGRAM = "/telegram/getAgents"

POSITIONS = ("bottom-right", "bottom-left", "top-right", "top-left")


def agents(number: int) -> dict[str, Any]:
    """An answer with so many agents, about 250 bytes each."""
    return {"agents": [_agent(index) for index in range(number)], "count": number}


def _agent(index: int) -> dict[str, str]:
    return {
        "id": f"agt_{index:06}",
        "name": f"Sales Assistant for the Nordic Region, No. {index}",
        "primaryColor": f"#{611 + index % 389:06}",
        "secondaryColor": "#764ba2",
        "position": POSITIONS[index % len(POSITIONS)],
        "template": "modern",
        "status": "active",
        "createdAt": f"2026-01-{28 - index % 28:02}T09:{index % 60:02}:00.000Z",
    }


def answers() -> dict[str, Any]:
    """The JSON document of each path. Two SDKs accept only what looks like their own API, so they have an envelope."""
    ten = agents(10)
    domains = {"domains": ["example.com", "support.example.com", "shop.example.com"]}
    return {
        AGENTS: ten,
        DOMAINS: domains,
        ONE + AGENTS: agents(1),
        SEVEN + AGENTS: agents(7),  # a workspace of usual size, whole: with the domains of each agent
        **{f"{SEVEN}/domains/{number}": _own_domains(number) for number in range(WORKSPACES)},
        THOUSAND + AGENTS: agents(1_000),
        TEN_THOUSAND + AGENTS: agents(10_000),
        SLACK: {"ok": True, **ten},
        TELEGRAM: {"ok": True, "result": ten},
    }


def _own_domains(number: int) -> dict[str, Any]:
    """Those of a workspace. One in twelve has a site in common with others, that of an agency."""
    domains = [f"customer{number}.com", f"support.customer{number}.com", f"shop.customer{number}.com"]
    return {"domains": [*domains, f"agency{number % 5}.com"] if number % 12 == 0 else domains}


def body(document: Any) -> bytes:
    """As most servers write it: without blanks."""
    return json.dumps(document, separators=(",", ":")).encode()


def write_answers(folder: Path) -> None:
    """One file for each path, with `.json` at its end: `agents` is a file and a folder otherwise."""
    for path, document in answers().items():
        file = folder / f"{path[1:]}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body(document))
