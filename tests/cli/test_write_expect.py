"""`chatloom audit --write-expect`: the list of workspaces, with what they allow today."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatloom_async.sandbox import Sandbox
from tests.cli.conftest import Ran


def test_the_next_audit_finds_nothing_unexpected(
    chatloom: Callable[..., Ran], sandbox: Sandbox, tmp_path: Path
) -> None:
    """The first expectation of many workspaces is one command; what changes then is a finding."""
    path = str(tmp_path / "expected.toml")
    assert chatloom("audit", "--write-expect", path, "--output", str(tmp_path / "report.txt")).status == 0
    rules = ("--rule", "domain-unexpected", "--rule", "domain-missing")
    assert chatloom("audit", path, *rules).status == 0
    refused = chatloom("audit", path, "--write-expect", path)
    assert (refused.status, "would be overwritten" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--sandbox",), "has its key in the list, and keys are never written"),
        (("--sandbox", "--output", "expected.toml"), "--write-expect expected.toml is the same file as --output "),
    ],
)
def test_what_cannot_be_written_is_said_before_the_audit(
    chatloom: Callable[..., Ran],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    error: str,
) -> None:
    """Nothing is sent, and no file is left."""
    monkeypatch.chdir(tmp_path)
    ran = chatloom("audit", "--write-expect", "expected.toml", *arguments)
    assert (ran.status, error in ran.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", [True, False])
def test_a_path_that_is_not_utf_8_is_refused_before_the_audit(
    chatloom: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: bool
) -> None:
    """TOML could not be read again. It makes no difference whether the list or the working directory has that name."""
    folder = tmp_path / "d\udce9"
    folder.mkdir()
    (folder / "w.json").write_text('[{"name": "acme", "key_file": "k"}]')
    monkeypatch.chdir(folder if below else tmp_path)
    ran = chatloom("audit", "w.json" if below else "d\udce9/w.json", "--write-expect", str(tmp_path / "expected.toml"))
    problem = "The key file of workspace acme has a path that is not UTF-8, which a list cannot hold: "
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {problem}{tmp_path}/d\\udce9/k. Rename the folder or the file")
    assert [path.name for path in tmp_path.iterdir()] == ["d\udce9"]
