"""The tests of a program that uses the package, run for real under each of the plugins that run asynchronous tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatloom_async import Sandbox

USERS = """
import pytest
from chatloom_async import AsyncChatloom, NotFoundError

async def test_waits(chatloom_client, chatloom_sandbox, chatloom_clock):
    chatloom_sandbox["acme"].fails(503, times=2, retry_after=3)
    assert len(await chatloom_client.list_agents()) == 12
    assert chatloom_clock.slept == [3.0, 3.0]
    assert chatloom_clock.now == 6.0

async def test_server(chatloom_server, chatloom_sandbox, assert_no_secret):
    async with AsyncChatloom(chatloom_sandbox["acme"].key, base_url=chatloom_server) as chatloom:
        with pytest.raises(NotFoundError) as caught:
            await chatloom.get_allowed_domains("agt_1")
        assert_no_secret(caught.value, chatloom)
"""

SYNCHRONOUS = """
import asyncio
from chatloom_async import AsyncChatloom

def test_waits(chatloom_client, chatloom_sandbox, chatloom_clock):
    chatloom_sandbox["acme"].fails(503, retry_after=30)
    assert len(asyncio.run(chatloom_client.list_agents())) == 12
    assert chatloom_clock.slept == [30.0]

def test_server(chatloom_server, chatloom_sandbox, monkeypatch, assert_no_secret):
    monkeypatch.setenv("CHATLOOM_API_KEY", chatloom_sandbox["acme"].key.reveal())
    monkeypatch.setenv("CHATLOOM_BASE_URL", chatloom_server)
    async def main():
        async with AsyncChatloom() as chatloom:
            return await chatloom.list_agents()
    assert len(asyncio.run(main())) == 12
    assert_no_secret()
"""

ANYIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"

pytestmark = pytest.mark.anyio
"""

SLOW_TO_LOAD = ("-p", "no:hypothesispytest", "-p", "no:valkey")  # other plugins that are installed for our tests
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")  # pytest-asyncio warns where it is not set
WAYS = {
    "pytest-asyncio, auto": (USERS, "-p", "no:anyio", "-o", "asyncio_mode=auto", *SCOPE),
    "pytest-asyncio, strict": (USERS + "\npytestmark = pytest.mark.asyncio\n", "-p", "no:anyio", *SCOPE),
    "anyio": (USERS + ANYIO, "-p", "no:asyncio"),
    "no plugin": (SYNCHRONOUS, "-p", "no:anyio", "-p", "no:asyncio"),
}


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A pytest of its own, with every warning an error, and nothing of this project but the installed package."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CHATLOOM_"))}
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *SLOW_TO_LOAD, *arguments]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_the_fixtures_work_however_asynchronous_tests_are_run(tmp_path: Path, way: str) -> None:
    """The same file, without a word of configuration for this package."""
    text, *options = WAYS[way]
    (tmp_path / "test_program.py").write_text(text, "utf-8")
    done = run("-q", *options, folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1].split(" in ")[0]) == (0, "2 passed"), (
        done.stdout + done.stderr
    )


LEAKING = """
def test_leak(assert_no_secret, chatloom_sandbox):
    shown = "Bearer " + chatloom_sandbox["acme"].key.reveal()
    assert_no_secret(shown)
"""


def test_a_find_is_reported_without_the_key(tmp_path: Path) -> None:
    """Not even where pytest shows local variables."""
    (tmp_path / "test_program.py").write_text(LEAKING, "utf-8")
    done = run("-q", "--showlocals", "--tb=long", "-p", "no:asyncio", folder=tmp_path)
    assert done.returncode == 1
    assert (
        "\nThe API key of workspace 'acme' is in the str of argument 1, of type str: ...Bearer clf_***\n" in done.stdout
    )
    assert Sandbox(seed=7).add_workspace("acme").key.reveal() not in done.stdout + done.stderr


def test_the_fixtures_document_themselves(tmp_path: Path) -> None:
    """For `pytest --fixtures`."""
    done = run("--fixtures", "-p", "no:asyncio", folder=tmp_path)
    page = done.stdout.partition("chatloom_async.testing.plugin")[2]
    for name in ("assert_no_secret", "chatloom_client", "chatloom_clock", "chatloom_sandbox", "chatloom_server"):
        assert f"\n{name} -- " in page


def test_starting_pytest_does_not_import_what_is_not_used() -> None:
    """The plugin is loaded in every pytest run of an environment that has the package."""
    code = (
        "import sys, chatloom_async.testing.plugin; "
        "print([name for name in ('aiohttp', 'chatloom_async.sandbox', 'rich', 'cyclopts') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_plugin_costs_next_to_nothing_where_it_is_not_used() -> None:
    """Every pytest run of every project that has the package imports it: of the package, only what it needs itself."""
    code = (
        "import pytest, sys, time; before = time.process_time(); import chatloom_async.testing.plugin; "
        "print(time.process_time() - before < 0.03, 'asyncio' in sys.modules, 'chatloom_async.client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False False\n"
