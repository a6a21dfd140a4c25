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
