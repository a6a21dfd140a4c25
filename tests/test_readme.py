"""The README says nothing that is not so: its Python runs, its outputs and help texts are what comes out."""

import ast
import contextlib
import inspect
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chatloom_async
from benchmarks.chart import chart
from benchmarks.report import budgets
from benchmarks.results import FILE as RESULTS
from benchmarks.results import read
from chatloom_async import Sandbox
from chatloom_async.audit import keys, store

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: list[tuple[str, str]] = FENCE.findall(README.read_text("utf-8"))


async def run(source: str, names: dict[str, Any]) -> str:
    """What a block prints where top-level await is allowed, as in `python -m asyncio`."""
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


async def test_the_python_blocks_run_and_print_what_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, against a sandbox on a socket, each compared with the text block that follows it."""
    sandbox, names = Sandbox(seed=7), dict[str, Any]()
    acme = sandbox.add_workspace("acme", agents=3)
    monkeypatch.setenv("CHATLOOM_API_KEY", acme.key.reveal())
    shown, printed = [], []
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        for (kind, source), (next_kind, text) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
            if kind == "python":
                printed.append(await run(source, names))
                shown.append(text if next_kind == "text" else "")
    assert printed == shown
    assert len(printed) >= 6


def test_the_test_that_the_page_shows_passes(tmp_path: Path) -> None:
    """In a project of its own, under pytest-asyncio's auto mode, with every warning an error."""
    (source,) = [text for kind, text in BLOCKS if kind == "py" and "def test_" in text]
    (tmp_path / "test_mine.py").write_text(source, "utf-8")
    settings = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function", "cache_dir=cache"]
    options = [part for setting in settings for part in ("-o", setting)]
    unused = ("-p", "no:hypothesispytest", "-p", "no:valkey")  # plugins that are slow to load
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *unused, *options]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(("command", "shown"), [text.split("\n", 1) for kind, text in BLOCKS if kind == "console"])
def test_the_console_blocks_show_what_the_program_prints(command: str, shown: str) -> None:
    """Help texts, character for character, at 100 columns and without colour."""
    arguments = command.removeprefix("$ chatloom ").split()
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "chatloom_async", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.rstrip() for line in done.stdout.splitlines()] == shown.rstrip().splitlines()


def test_what_the_page_says_to_do_is_what_the_errors_say() -> None:
    """In the table of what can go wrong: the last cell of a row is the hint of the error that the first one names."""
    section = README.read_text("utf-8").partition("## When something goes wrong\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert [(name, advice) for name, _, advice in rows] == [(name, hint(name.split("`")[1])) for name, _, _ in rows]
    assert len(rows) >= 10


def hint(name: str) -> str:
    """What an error of this name says to do."""
    (kind,) = {getattr(place, name) for place in (chatloom_async, keys, store) if hasattr(place, name)}
    return str(kind.hint)


def test_the_figures_are_those_that_were_measured() -> None:
    """The promises about speed, and the picture, are made of what the benchmark has kept."""
    results = read(RESULTS)
    assert budgets(results) in README.read_text("utf-8")
    assert (RESULTS.parent / "calls.svg").read_text("utf-8") == chart(results)


def test_what_is_said_of_the_figures_is_in_the_results() -> None:
    """What the transport costs alone, how the cost grows with the calls, and what TLS costs."""
    results, text = read(RESULTS), " ".join(README.read_text("utf-8").split())
    alone = results.ratio("calls on uvloop", "aiohttp transport", "aiohttp", "32") or 0.0
    assert f"On uvloop the default transport alone costs {alone:.2f} times what raw aiohttp costs." in text
    sizes = results.samples["scaling"]
    costs = [results.median("scaling", size, "CPU, us") or 0.0 for size in sizes]
    memory = {f"{results.median('scaling', size, 'highest memory, MB'):.0f}" for size in sizes}
    assert {"100 calls", "1,000,000 calls"} <= set(sizes)
    assert f"a call costs {min(costs):.0f} to {max(costs):.0f} µs, and the process takes {memory.pop()} MB" in text
    assert memory == set()
    keyed, shared = (
        results.median("fan-out", f"fan_out, a key each{how}", "CPU, us") or 0.0 for how in ("", ", shared")
    )
    assert f"costs {keyed:.0f} µs a key; where the keys share them, {shared:.0f} µs," in text
    kept, opened = (results.median("TLS", "chatloom_async", name) for name in ("CPU, us", "CPU, never reused, us"))
    assert f"Over TLS a call costs {kept:.0f} µs; with a handshake each, {opened:.0f} µs." in text


def test_the_links_lead_somewhere() -> None:
    """Relative links name files that exist."""
    links = re.findall(r"\]\(((?!https?:)[^)]+)\)", README.read_text("utf-8"))
    assert [link for link in links if not (README.parent / link).exists()] == []
