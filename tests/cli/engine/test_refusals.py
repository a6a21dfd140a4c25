"""What `chatloom audit --engine dask` refuses before anything begins, and what it makes of keys that do not travel."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatloom_async.audit import KeyEnv, KeyFile, Workspace
from chatloom_async.cli.readers import KeyFiles, absolute
from chatloom_async.cli.sandbox import make_sandbox
from chatloom_async.engines import dask
from tests.cli.conftest import Ran
from tests.samples import KEY

pytest.importorskip("distributed")
Chatloom = Callable[..., Ran]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["w.csv", "--scheduler", "tcp://127.0.0.1:9"], "--scheduler is the address of a Dask cluster: add --engine "),
        (
            ["--sandbox", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"],
            "The embedded sandbox is for workers of this machine: leave out --scheduler. See ",
        ),
        (
            ["inline.json", "--inline-keys", "--engine", "dask"],
            "Workspace 'acme' holds its key itself, and keys are not sent to workers: use key_env, key_json, ",
        ),
        (
            ["w.csv", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"],
            "No scheduler of Dask at tcp://127.0.0.1:9: Timed out trying to connect to tcp://127.0.0.1:9 after ",
        ),
        (["w.csv", "--engine", "ray"], 'Invalid value "ray" for --engine.'),
    ],
)
def test_what_cannot_be_read_by_workers_is_refused_before_anything_begins(
    chatloom: Chatloom, three: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: str
) -> None:
    """One line that says what to do, and status 2; no run is begun, the last report stays, and no key is shown."""
    monkeypatch.setattr(dask, "CONNECT_TIMEOUT", 0.2)
    Path("inline.json").write_text(json.dumps([{"name": "acme", "key": KEY}]))
    Path("report.txt").write_text("the last one")
    ran = chatloom("audit", *arguments, "--db", "a.db", "--output", "report.txt")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(f"error: {error}")
    assert KEY not in ran.err
    assert (Path("a.db").exists(), Path("report.txt").read_text()) == (False, "the last one")


def test_workers_of_another_version_are_refused(
    chatloom: Chatloom, three: str, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run is begun."""
    monkeypatch.setattr(dask, "VERSION", "9.9.9")
    ran = chatloom("audit", three, "--db", "a.db", "--engine", "dask", "--scheduler", cluster)
    assert (ran.status, ran.out, Path("a.db").exists()) == (2, "", False)
    assert ran.err.startswith("error: Not every worker has chatloom-async 9.9.9: tcp://127.0.0.1:")


def test_without_the_extra_the_error_is_how_to_install_it(
    chatloom: Chatloom, three: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to read a traceback."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    ran = chatloom("audit", three, "--engine", "dask")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "error: An audit on Dask, here and on each worker, needs distributed, which is not installed. "
        "Install it: pip install '.[dask]' in a clone of chatloom_async.\n"
    )


def test_keys_of_the_sandbox_lie_in_private_files(tmp_path: Path) -> None:
    """A workspace that has a reference keeps it."""
    (acorn,) = make_sandbox(workspaces=1, agents=0, seed=7)
    reference = KeyFiles(tmp_path).portable(Workspace("acorn", acorn.key)).key
    assert reference == KeyFile(tmp_path / "acorn.key")
    assert (tmp_path / "acorn.key").read_text() == acorn.key.reveal()
    assert stat.S_IMODE((tmp_path / "acorn.key").stat().st_mode) == 0o600
    other = Workspace("other", KeyEnv("OTHER_KEY"))
    assert KeyFiles(tmp_path).portable(other) is other


def test_a_key_file_is_the_same_one_in_every_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have working directories of their own, and home directories that a coordinator cannot know."""
    monkeypatch.chdir(tmp_path)
    keys = [KeyFile("a.key", 2.0), KeyFile(tmp_path / "b.key"), KeyFile("~/c.key"), KeyEnv("D")]
    assert [absolute(Workspace("w", key)).key for key in keys] == [
        KeyFile(tmp_path / "a.key", 2.0), KeyFile(tmp_path / "b.key"), KeyFile("~/c.key"), KeyEnv("D")
    ]  # fmt: skip


def test_one_process_does_without_dask() -> None:
    """An audit that is read here imports nothing of the extra."""
    run = "import sys; from chatloom_async.cli import main; main(['audit', '--sandbox', '--dry-run', '--only', 'elm'])"
    code = f"{run}; print(sorted({{'cryptography', 'dask', 'distributed'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
