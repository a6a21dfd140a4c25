"""The documentation says nothing that is not so: its code runs, its outputs are what comes out, its links lead on."""

import ast
import contextlib
import inspect
import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import chatloom_async
from benchmarks.chart import chart
from benchmarks.report import budgets
from benchmarks.results import FILE as RESULTS
from benchmarks.results import read
from chatloom_async import AsyncChatloom, transports
from chatloom_async.audit import keys, load_workspaces, store
from chatloom_async.cli.sandbox import make_sandbox

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("benchmarks", "examples", "tests"))]
PAGES += sorted((ROOT / ".github").glob("*.md"))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README, SUPPORT = (ROOT / name for name in ("README.md", ".github/SUPPORT.md"))


def called(page: Path) -> str:
    """The page, as its tests are called."""
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks, each with its kind."""
    return FENCE.findall(page.read_text("utf-8"))


async def run(source: str, names: dict[str, Any]) -> str:
    """What a block prints where top-level await is allowed, as in `python -m asyncio`."""
    code = compile(source, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
    return printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=called)
async def test_the_python_blocks_run_and_print_what_the_page_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, against the sandbox that the page names, each compared with the text that follows it."""
    sandbox, names = make_sandbox(workspaces=1, agents=2, seed=7), dict[str, Any]()
    monkeypatch.setenv("CHATLOOM_API_KEY", sandbox["acorn"].key.reveal())
    blocks = blocks_of(page)
    shown, printed = [], []
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        for (kind, source), (next_kind, text) in zip(blocks, [*blocks[1:], ("", "")], strict=False):
            if kind == "python":
                printed.append(await run(source, names))
                shown.append(text if next_kind == "text" else "")
    assert printed == shown
    assert len(printed) >= {"README.md": 6, "examples/README.md": 5}.get(called(page), 0)


async def test_the_block_about_other_transports_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real socket, with HTTP/1.1, since that is without TLS."""
    pytest.importorskip("httpx2")
    sandbox = make_sandbox(workspaces=1, agents=2, seed=7)
    monkeypatch.setenv("CHATLOOM_API_KEY", sandbox["acorn"].key.reveal())
    ((kind, source),) = FENCE.findall(transports.__doc__ or "")
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        assert (kind, await run(source, {})) == ("py", "2\n")


def test_every_block_is_of_a_kind_that_some_test_runs() -> None:
    """`sh` is what people type: the set-up commands run in CI, those for Dask in `nox -s engines`."""
    kinds = {kind for page in PAGES for kind, _ in blocks_of(page)}
    assert kinds == {"python", "text", "py", "python3", "sh", "toml"}


def test_the_test_that_the_page_shows_passes(tmp_path: Path) -> None:
    """In a project of its own, under pytest-asyncio's auto mode, with every warning an error."""
    (source,) = [text for kind, text in blocks_of(README) if kind == "py"]
    (tmp_path / "test_mine.py").write_text(source, "utf-8")
    settings = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function", "cache_dir=cache"]
    options = [part for setting in settings for part in ("-o", setting)]
    unused = ("-p", "no:hypothesispytest", "-p", "no:valkey")  # plugins that are slow to load
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *unused, *options]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout


def test_the_service_that_the_page_shows_is_the_example() -> None:
    """Line by line, but for the imports of other packages and blank lines."""
    (source,) = [text for kind, text in blocks_of(README) if kind == "python3"]
    shown = [line.partition("   #")[0].rstrip() for line in source.splitlines() if line]
    example = (ROOT / "examples" / "fastapi_tenants.py").read_text("utf-8").splitlines()
    assert [line for line in example if line in shown] == shown


def test_the_list_of_workspaces_that_the_page_shows_can_be_read(tmp_path: Path) -> None:
    """With every field that it shows."""
    (source,) = [text for kind, text in blocks_of(README) if kind == "toml"]
    (tmp_path / "w.toml").write_text(source, "utf-8")
    (entry,) = tomllib.loads(source)["workspaces"]
    (workspace,) = load_workspaces(tmp_path / "w.toml")
    assert [workspace.name, str(workspace.key), [*workspace.tags], [*(workspace.expect or ())]] == [
        entry["name"],
        f"environment variable {entry['key_env']}",
        entry["tags"],
        entry["expect"],
    ]


def test_the_table_of_options_is_complete() -> None:
    """Each option of the constructor, in its order, except the clock, which is for tests."""
    section = README.read_text("utf-8").partition("## Options\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        name for name in inspect.signature(AsyncChatloom).parameters if name not in ("clock", "unknown")
    ]


def test_the_page_is_short_enough_to_be_read() -> None:
    """Somebody decides in two minutes; the rest has pages of its own."""
    assert len(README.read_text("utf-8").splitlines()) <= 300


def test_what_the_page_says_to_do_is_what_the_errors_say() -> None:
    """In the table of what can go wrong: the last cell of a row is the hint of the error that the first one names."""
    rows = [line.strip("| ").split(" | ") for line in SUPPORT.read_text("utf-8").splitlines() if line[:3] == "| `"]
    assert [(name, advice) for name, _, advice in rows] == [(name, hint(name.split("`")[1])) for name, _, _ in rows]
    assert len(rows) >= 10


def hint(name: str) -> str:
    """What an error of this name says to do."""
    (kind,) = {getattr(place, name) for place in (chatloom_async, keys, store) if hasattr(place, name)}
    return str(kind.hint)


def test_the_figures_are_those_that_were_measured() -> None:
    """The promises about speed, and the picture, are made of what the benchmark has kept."""
    results = read(RESULTS)
    assert budgets(results) in (RESULTS.parent / "README.md").read_text("utf-8")
    assert (RESULTS.parent / "calls.svg").read_text("utf-8") == chart(results)


def test_what_is_said_of_the_figures_is_in_the_results() -> None:
    """What the transport costs alone, how the cost grows with the calls, what TLS costs, and an audit."""
    results, text = read(RESULTS), " ".join((RESULTS.parent / "README.md").read_text("utf-8").split())
    alone = results.ratio("calls on uvloop", "aiohttp transport", "aiohttp", "32") or 0.0
    assert f"On uvloop the default transport alone costs {alone:.2f} times what raw aiohttp costs." in text
    sizes = results.samples["scaling"]
    costs = [results.median("scaling", size, "CPU, us") or 0.0 for size in sizes]
    memory = max(results.median("scaling", size, "highest memory, MB") or 0.0 for size in sizes)
    assert {"100 calls", "100,000 calls"} <= set(sizes)
    assert f"a call costs {min(costs):.0f} to {max(costs):.0f} µs, and the process takes {memory:.0f} MB" in text
    keyed, shared = (
        results.median("fan-out", f"fan_out, a key each{how}", "CPU, us") or 0.0 for how in ("", ", shared")
    )
    assert f"costs {keyed:.0f} µs a key; where the keys share them, {shared:.0f} µs," in text
    kept, opened = (results.median("TLS", "chatloom_async", name) for name in ("CPU, us", "CPU, never reused, us"))
    assert f"Over TLS a call costs {kept:.0f} µs; with a handshake each, {opened:.0f} µs." in text
    for kind, where in (("plain HTTP", "An audit of workspaces of seven agents costs"), ("TLS 1.3", "over TLS")):
        names = ("audit : calls", "audit, ms", "calls in series, ms", "audit with a database : calls")
        ratio, audit, calls, kept = (results.median("audit", kind, name) or 0.0 for name in names)
        figures = (
            rf"{ratio:.2f} times [^(]*\({audit:.1f} ms instead of {calls:.1f} ms\), and with a database {kept:.2f}"
        )
        assert re.search(f"{where} {figures} times", text)
    seconds, cpu = (results.median("audit", "1,000 at 200 ms", name) or 0.0 for name in ("seconds", "CPU, s"))
    assert f"at 200 ms, 256 at once, took {seconds:.1f} s, {cpu:.1f} s of it CPU" in text


def anchors(page: Path) -> set[str]:
    """The places in a page that a link can name, as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=called)
def test_the_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist, and headings in them."""
    broken = []
    for link in re.findall(r"\]\(((?!https?:)[^)]+)\)", page.read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_session_is_explained() -> None:
    """In the table of tests/README.md."""
    sessions = re.findall(
        r"^@nox\.session.*?^def (\w+)", (ROOT / "noxfile.py").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    page = (ROOT / "tests" / "README.md").read_text("utf-8")
    assert [name for name in sessions if f"`{name}`" not in page and f"`{name.replace('_', '-')}`" not in page] == []
