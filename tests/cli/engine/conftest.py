"""Workspaces, and a cluster of Dask whose workers are threads of this process, for audits to be read on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatloom_async.sandbox import Sandbox
from tests.engines.threads import threads


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The scheduler of two workers with two threads each: room for 32 workspaces at once."""
    pytest.importorskip("distributed")
    with threads() as address:
        yield address


@pytest.fixture
def three(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """In the working directory, a file with acme and birch, and cedar, whose key is not set."""
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "birch.key"
    key.touch(0o600)
    key.write_text(sandbox.add_workspace("birch", agents=2).key.reveal())
    Path("w.csv").write_text("name,key_env,key_file\nacme,CHATLOOM_API_KEY,\nbirch,,birch.key\ncedar,CEDAR_KEY,\n")
    return "w.csv"
