"""What a helper says where its framework is not installed: one line, with the command that installs it."""

import subprocess
import sys

import pytest

from chatloom_async.contrib.extras import brought_by

HIDING = """
import sys
class Hidden:
    def find_spec(name, path=None, target=None):
        if name == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden)
import {module}
"""


def imported(module: str, hidden: str) -> subprocess.CompletedProcess[str]:
    """What importing the module says, in a process of its own, where nobody can import the hidden package."""
    code = HIDING.format(hidden=hidden, module=module)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "hidden", "install"),
    [
        ("fastapi", "fastapi", "fastapi"),
        ("fastapi", "starlette", "fastapi"),
        ("opentelemetry", "opentelemetry", "'chatloom-async[otel]', or '.[otel]' in a clone"),
        ("redis", "redis", "'chatloom-async[redis]', or '.[redis]' in a clone"),
    ],
)
def test_a_missing_package_names_its_cure(module: str, hidden: str, install: str) -> None:
    """The last line of the traceback, and no other error behind it."""
    said = imported(f"chatloom_async.contrib.{module}", hidden).stderr
    assert said.splitlines()[-1] == (
        f"ModuleNotFoundError: {hidden} is not installed. Install it: pip install {install}"
    )
    assert said.count("Traceback") == 1


def test_the_helpers_without_a_framework_need_none() -> None:
    """The lifespan for Starlette imports no Starlette."""
    assert imported("chatloom_async.contrib.asgi", "starlette").returncode == 0


def test_it_is_still_a_module_that_was_not_found() -> None:
    """With its name, so that `except ImportError` and pytest.importorskip go on as they do for any other."""
    with pytest.raises(ModuleNotFoundError) as raised, brought_by("x", "nowhere"):
        import nowhere.inside  # type: ignore[import-not-found]  # noqa: F401
    assert (raised.value.name, str(raised.value)) == ("nowhere", "nowhere is not installed. Install it: pip install x")


def test_what_else_is_missing_is_told_as_it_is() -> None:
    """A broken installation of something else is not cured by the extra."""
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'elsewhere'$"), brought_by("x", "nowhere"):
        import elsewhere  # type: ignore[import-not-found]  # noqa: F401
