"""What a part of this package says where a module that it needs is not installed: one line, with the command."""

import subprocess
import sys

import pytest

from chatloom_async import ConfigurationError, MissingExtraError
from chatloom_async.wire.errors import needed_by

HIDING = """
import sys
class Hidden:
    def find_spec(name, path=None, target=None):
        if name == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden)
import {module}
"""


def extra(name: str) -> str:
    """An extra of this package as pip is told it, from an index and from a clone."""
    return f"'.[{name}]' in a clone of chatloom_async"


def imported(module: str, hidden: str) -> subprocess.CompletedProcess[str]:
    """What importing the module says, in a process of its own, where nobody can import the hidden package."""
    code = HIDING.format(hidden=hidden, module=module)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "hidden", "what", "install"),
    [
        ("contrib.fastapi", "fastapi", "The dependency for FastAPI", "fastapi"),
        ("contrib.fastapi", "starlette", "The dependency for FastAPI", "starlette"),
        ("contrib.opentelemetry", "opentelemetry", "InstrumentedChatloom", extra("otel")),
        ("contrib.redis", "redis", "RedisLimiter", extra("redis")),
        ("transports.httpx2", "httpx2", "Httpx2Transport", extra("httpx2")),
        ("transports.httpx2", "h2", "Httpx2Transport", extra("httpx2")),
    ],
)
def test_a_missing_package_names_its_cure(module: str, hidden: str, what: str, install: str) -> None:
    """The last line of the traceback, and no other error behind it."""
    said = imported(f"chatloom_async.{module}", hidden).stderr
    assert said.splitlines()[-1] == (
        "chatloom_async.wire.errors.MissingExtraError: "
        f"{what} needs {hidden}, which is not installed. Install it: pip install {install}."
    )
    assert said.count("Traceback") == 1


def test_the_helpers_without_a_framework_need_none() -> None:
    """The lifespan for Starlette imports no Starlette."""
    assert imported("chatloom_async.contrib.asgi", "starlette").returncode == 0


def test_it_is_still_a_module_that_was_not_found() -> None:
    """With its name, so that `except ImportError` and pytest.importorskip go on as they do for any other."""
    with pytest.raises(ModuleNotFoundError) as raised, needed_by("It", "nowhere", extra="x"):
        import nowhere.inside  # type: ignore[import-not-found]  # noqa: F401
    text = "It needs nowhere, which is not installed"
    assert raised.value == MissingExtraError(text, extra="x", module="nowhere")
    assert raised.value.name == "nowhere"
    assert isinstance(raised.value, ConfigurationError)


def test_what_else_is_missing_is_told_as_it_is() -> None:
    """A broken installation of something else is not cured by the extra."""
    told = pytest.raises(ModuleNotFoundError, match=r"^No module named 'elsewhere'$")
    with told, needed_by("It", "nowhere", extra="x"):
        import elsewhere  # type: ignore[import-not-found]  # noqa: F401
