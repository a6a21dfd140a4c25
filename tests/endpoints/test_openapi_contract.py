"""What openapi.json allows is sent to the sandbox over a socket, by schemathesis; the answers must be as described.

Run by `nox -s contract`, which installs schemathesis.
"""

import asyncio
import importlib.util
import sys
from importlib import resources
from pathlib import Path

import pytest

from chatloom_async import Sandbox

if importlib.util.find_spec("schemathesis") is None:
    pytest.skip("schemathesis is not installed; `nox -s contract` does that", allow_module_level=True)

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


async def contract(sandbox: Sandbox, header: str, folder: Path) -> tuple[int | None, str]:
    """The exit status and output of schemathesis against a sandbox, with a header of ours in each request."""
    description = str(resources.files("chatloom_async").joinpath("openapi.json"))
    async with sandbox.serve() as url:
        arguments = ["run", description, "--url", url, "--header", header, "--checks", ",".join(CHECKS)]
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            *(*arguments, "--seed", "7", "--max-examples", "40"),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.parametrize(
    ("header", "answers"),
    [
        ("Authorization: Bearer {}", {200, 404}),
        ("X-API-Key: {}", {200, 404}),
        ("X-API-Key: clf_wrong", set()),
        ("Accept: application/json", set()),
    ],
)
async def test_the_sandbox_keeps_the_contract(header: str, answers: set[int], tmp_path: Path) -> None:
    """Hundreds of requests, none of them answered otherwise than described; without a valid key, all refused."""
    sandbox = Sandbox(seed=7, rate_limit=None)
    acme = sandbox.add_workspace("acme", agents=5)
    acme.add_agent(id="agt_abc123", domains=["example.com"])
    status, output = await contract(sandbox, header.format(acme.key.reveal()), tmp_path)
    assert status == 0, output
    refused = {401, 405}  # no key, or one that schemathesis made up; a method that is not described
    assert {each.outcome for each in sandbox.log} - refused == answers
    assert 100 < sandbox.requests < 1000


@pytest.mark.parametrize("fault", [418, "html"])
async def test_a_breach_is_found(fault: int, tmp_path: Path) -> None:
    """A status that is not described, and a server's page in place of JSON: so the test above means something."""
    sandbox = Sandbox(seed=7, rate_limit=None)
    acme = sandbox.add_workspace("acme", agents=5)
    acme.fails(fault, times=None)
    status, output = await contract(sandbox, f"X-API-Key: {acme.key.reveal()}", tmp_path)
    assert status == 1, output
