"""The examples in the docstrings of public names: each that is complete runs, against a sandbox.

An example is a part of a docstring that is indented like this:

    print(len(await chatloom.list_agents()))  # 2

Where its calls of `print` have comments, these are what is printed. It may use every public name, `chatloom`, a client,
and `keys`, those of some workspaces; and `await` anywhere. What uses other names is not complete: a sketch. What is not
Python is not an example.
"""

import ast
import contextlib
import inspect
import io
import re
import symtable
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import chatloom_async
from chatloom_async import AsyncChatloom, Sandbox

PUBLIC = {name: getattr(chatloom_async, name) for name in chatloom_async.__all__}
GIVEN = {"chatloom", "keys"}
BUILTINS = set(dir(__builtins__)) | set(__builtins__ if isinstance(__builtins__, dict) else ())


def indented(docstring: str) -> list[str]:
    """The indented parts, without their indentation; a blank line does not end one."""
    parts: list[list[str]] = []
    within = False
    for line in inspect.cleandoc(docstring).splitlines():
        if line.startswith("    ") or (within and not line):
            if not within:
                parts.append([])
            parts[-1].append(line[4:])
        within = line.startswith("    ") or (within and not line)
    return [text for part in parts if (text := "\n".join(part).strip())]


def examples(docstring: str) -> list[str]:
    """The parts that are Python."""
    found = []
    for part in indented(docstring):
        try:
            compile(part, "<docstring>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        except SyntaxError:
            continue
        found.append(part)
    return found


def missing(example: str) -> set[str]:
    """The names that an example uses and does not have."""
    body = "\n".join(f"    {line}" for line in example.splitlines())
    outer = symtable.symtable(f"async def example():\n{body}", "<docstring>", "exec")
    tables, used = outer.get_children(), set[str]()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {each.get_name() for each in table.get_symbols() if each.is_global()}
    return used - PUBLIC.keys() - GIVEN - BUILTINS


def said(example: str) -> list[str]:
    """What an example's calls of `print` are said to print, a line each."""
    return re.findall(r"^ *print\(.*\)  # (.+)$", example, re.MULTILINE)


EXAMPLES = [(name, text) for name, each in PUBLIC.items() for text in examples(each.__doc__ or "")]
COMPLETE = [(name, text) for name, text in EXAMPLES if not missing(text)]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """What an example may use; the environment points to a sandbox on a socket."""
    sandbox = Sandbox(seed=7)
    keys = [sandbox.add_workspace(f"workspace {number}", agents=2).key for number in range(3)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATLOOM_API_KEY", keys[0].reveal())
    async with sandbox.serve() as url:
        monkeypatch.setenv("CHATLOOM_BASE_URL", url)
        async with AsyncChatloom() as chatloom:
            yield {**PUBLIC, "chatloom": chatloom, "keys": keys}


@pytest.mark.parametrize(("name", "example"), COMPLETE, ids=[name for name, _ in COMPLETE])
async def test_it_runs(name: str, example: str, names: dict[str, Any]) -> None:
    """As in `python -m asyncio`, and prints what it says."""
    code = compile(example, f"<docstring of {name}>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result
    assert not said(example) or printed.getvalue().splitlines() == said(example)


def test_every_public_name_has_an_example_that_runs() -> None:
    """All but a string, which has no docstring of its own; most say what they print."""
    without = sorted(PUBLIC.keys() - {name for name, _ in COMPLETE} - {"__version__"})
    assert without == [], "".join(
        f"\n{name}: end its docstring with an indented example that runs as it stands, such as\n"
        f"    value = {name}(...)\n    print(value)  # what this prints"
        for name in without
    )
    incomplete = {name: missing(text) for name, text in EXAMPLES if missing(text)}
    assert incomplete == {}, "".join(
        f"\n{name}: its example uses {', '.join(sorted(names))}: import or define them in the example"
        for name, names in incomplete.items()
    )
    assert len([name for name, text in COMPLETE if said(text)]) >= 45


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    """None is inherited."""
    own = {name: vars(each).get("__doc__") if isinstance(each, type) else each.__doc__ for name, each in PUBLIC.items()}
    without = [name for name, docstring in own.items() if not docstring]
    assert without == [], f"write a docstring for {', '.join(without)}: one sentence, then an example"


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("One line.", []),
        ("One line.\n    ", []),
        ("Text.\n\n    x = 1\n\n    y = x\n\nText.\n\n        deeper\n", ["x = 1\n\ny = x", "deeper"]),
        ("Text.\n\n    Cache-Status: chatloom_async; hit\n", []),
        ("Text.\n\n    await chatloom.list_agents()\nText.", ["await chatloom.list_agents()"]),
    ],
)
def test_finding_examples(docstring: str, expected: list[str]) -> None:
    """Parts that are indented, and are Python."""
    assert [text.strip() for text in examples(docstring)] == expected


@pytest.mark.parametrize(
    ("example", "names"),
    [
        ("x = 1\nprint(x)", set()),
        ("await chatloom.send(Other())", {"Other"}),
        ("async for each in watch(client): ...", {"client"}),
        ("fan_out(keys, lambda key: chatloom.with_key(key))", set()),
        ("from attrs import frozen\n@frozen\nclass A:\n    b: C", {"C"}),
    ],
)
def test_finding_what_is_missing(example: str, names: set[str]) -> None:
    """Names that are neither given nor made by the example itself."""
    assert missing(example) == names
