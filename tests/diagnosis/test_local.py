"""What the diagnosis says without a network: versions, key, address, proxies, clock."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatloom_async import ApiKey, InvalidApiKeyError, InvalidBaseUrlError, Response
from chatloom_async.audit.keys import KeyEnv, KeyFile
from chatloom_async.diagnosis.calls import ADVICE, check_clock
from chatloom_async.diagnosis.local import (
    EXPLICIT,
    GivenKey,
    _permissions,
    check_base_url,
    check_key,
    check_proxies,
    check_versions,
    installed,
)
from chatloom_async.diagnosis.observation import Observation, ok, skipped, warning, wrong
from tests.samples import KEY

NOW = datetime(2026, 1, 15, 9, tzinfo=UTC)
SHAPE = f"clf_ and {len(KEY) - 4} more characters"


def versions(aiohttp: str) -> dict[str, str]:
    """Of this process, except for one."""
    return {**installed(), "aiohttp": aiohttp}


@pytest.mark.parametrize("aiohttp", ["3.14.4", "3.14.10", "3.15.0rc1", "4.0"])
def test_an_aiohttp_with_all_fixes_is_fine(aiohttp: str) -> None:
    """All versions are told, that of OpenSSL too."""
    told = versions(aiohttp)
    rest = f"aiohttp {aiohttp}, OpenSSL {told['OpenSSL']}"
    text = f"chatloom_async {told['chatloom_async']}, Python {told['Python']}, {rest}"
    assert check_versions(told) == ok("versions", text, **told)


@pytest.mark.parametrize("aiohttp", ["3.14.3", "3.9.5", "3.13"])
def test_an_older_aiohttp_is_a_warning(aiohttp: str) -> None:
    """With the command that replaces it."""
    found = check_versions(versions(aiohttp))
    assert (found.state, found.advice) == (
        "warning",
        "Security fixes of aiohttp's client are missing: pip install 'aiohttp>=3.14.4,<4'",
    )


async def test_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place and its shape are told, and not one character of it after the prefix."""
    monkeypatch.setenv("SOME_KEY", KEY)
    key, told = await check_key(KeyEnv("SOME_KEY"))
    place = "environment variable SOME_KEY"
    assert (key, told) == (ApiKey(KEY), [ok("key", f"{place}: {SHAPE}", source=place, valid=True)])
    assert KEY[4:] not in repr(told)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "The environment variable SOME_KEY is not set"),
        ("", "environment variable SOME_KEY: The API key is empty"),
        ("hunter2", "environment variable SOME_KEY: The API key does not start with the prefix clf_ of all keys"),
        (
            "clf_...",
            "environment variable SOME_KEY: The API key is a placeholder, as documentation has it in place of a key",
        ),
    ],
)
async def test_a_key_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str | None, found: str) -> None:
    """What is wrong with it, and where to get one; nothing of what was there."""
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    expected = wrong("key", found, InvalidApiKeyError.hint, source="environment variable SOME_KEY", valid=False)
    assert await check_key(KeyEnv("SOME_KEY")) == (None, [expected])


async def test_a_key_that_was_read_already() -> None:
    """Or the error that reading it came to."""
    refused = InvalidApiKeyError("The API key is empty")
    assert await check_key(GivenKey("standard input", refused)) == (
        None,
        [wrong("key", "standard input: The API key is empty", refused.hint, source="standard input", valid=False)],
    )
    assert (await check_key(GivenKey("standard input", ApiKey(KEY))))[0] == ApiKey(KEY)


async def test_a_key_file_of_its_owner_alone(tmp_path: Path) -> None:
    """Two lines: its mode, and the key."""
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    assert await check_key(KeyFile(path)) == (
        ApiKey(KEY),
        [
            ok("key file", f"{path} has mode 600: only its owner can read it", mode="600"),
            ok("key", f"key file {path}: {SHAPE}", source=f"key file {path}", valid=True),
        ],
    )


async def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    """It is not read, as the client would not read it, and the command that repairs it is there."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o640)
    assert await check_key(KeyFile(path)) == (
        None,
        [
            wrong("key file", f"{path} has mode 640: others can read it", f"chmod 600 {path}", mode="640"),
            skipped("key", "not read from a file that others can read"),
        ],
    )


async def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    """There is nothing to say of its mode."""
    path = tmp_path / "key"
    found = f"The key file {path} cannot be read: No such file or directory"
    expected = wrong("key", found, InvalidApiKeyError.hint, source=f"key file {path}", valid=False)
    assert await check_key(KeyFile(path)) == (None, [expected])


def test_where_modes_mean_nothing_nothing_is_said_of_them(tmp_path: Path) -> None:
    """As on Windows."""
    assert list(_permissions(KeyFile(tmp_path), posix=False)) == []


@pytest.mark.parametrize(
    ("given", "variable", "found"),
    [
        (
            None,
            None,
            ok("base URL", "https://chatloom.app (the default)", source="the default", url="https://chatloom.app"),
        ),
        (
            None,
            "https://proxy.example/chatloom/",
            ok(
                "base URL",
                "https://proxy.example/chatloom (CHATLOOM_BASE_URL)",
                source="CHATLOOM_BASE_URL",
                url="https://proxy.example/chatloom",
            ),
        ),
        (
            "http://localhost:80",
            "ignored",
            ok(
                "base URL",
                "http://localhost:80 (here; plain http, to this machine)",
                source="here",
                url="http://localhost:80",
            ),
        ),
        (
            None,
            "https://user:password@chatloom.app",
            wrong(
                "base URL",
                "CHATLOOM_BASE_URL: The base URL holds a user name or password.",
                InvalidBaseUrlError.hint,
                source="CHATLOOM_BASE_URL",
            ),
        ),
    ],
)
def test_the_base_url(given: str | None, variable: str | None, found: Observation) -> None:
    """Where it comes from, in the client's own order; one that would be refused is not quoted."""
    environment = {} if variable is None else {"CHATLOOM_BASE_URL": variable}
    address, told = check_base_url(given, "here", environment)
    assert (address, told) == (found.facts.get("url"), found)


def test_proxies_in_the_environment_are_named_but_not_shown() -> None:
    """Since the client ignores them, and there may be a password in them."""
    environment = {"https_proxy": "http://user:password@proxy:1", "ALL_PROXY": "x", "http_proxy": "", "NO_PROXY": "y"}
    expected = warning(
        "proxies",
        "ALL_PROXY, https_proxy: set, and deliberately ignored",
        EXPLICIT,
        ignored=["ALL_PROXY", "https_proxy"],
    )
    assert check_proxies(environment) == expected
    assert check_proxies({"NO_PROXY": "y"}) == ok("proxies", "none in the environment", ignored=[])


@pytest.mark.parametrize(
    ("date", "found"),
    [
        ("Thu, 15 Jan 2026 09:00:00 GMT", ok("clock", "within 1 s of the server's", ahead=-0.5)),
        ("Thu Jan 15 08:59:40 2026", ok("clock", "within 20 s of the server's", ahead=19.5)),
        ("Thu, 15 Jan 2026 08:59:00 GMT", warning("clock", "60 s ahead of the server's", ADVICE, ahead=59.5)),
        ("Thu, 15 Jan 2026 09:10:00 GMT", warning("clock", "10 minutes behind the server's", ADVICE, ahead=-600.5)),
        ("Thu, 15 Jan 2026 12:00:00 GMT", warning("clock", "3 hours behind the server's", ADVICE, ahead=-10800.5)),
        ("Thu, 01 Jan 2026 09:00:00 GMT", warning("clock", "14 days ahead of the server's", ADVICE, ahead=1209599.5)),
        ("yesterday", skipped("clock", "not compared: the answer has no readable Date")),
        (None, skipped("clock", "not compared: the answer has no readable Date")),
    ],
)
def test_the_clock(date: str | None, found: Observation) -> None:
    """Compared with the answer's Date, which is half a second old on average; half a minute is tolerated."""
    headers = {} if date is None else {"Date": date}
    assert check_clock((Response(200, headers), NOW)) == found
    assert check_clock(None) == skipped("clock", "not compared: there is no answer")


def test_an_observation_is_clean() -> None:
    """Whatever comes from outside: no control characters and no keys, in the facts neither."""
    facts: dict[str, Any] = {"a": [f"\x1b[31m{KEY}"], "b": {"c": "\n"}, "d": 1, "e": timedelta(1)}
    told = wrong("x", f"\x1b]0;{KEY}", f"{KEY}\r", **facts)
    assert (told.found, told.advice) == ("]0;clf_***", "clf_***")
    assert told.facts == {"a": ["[31mclf_***"], "b": {"c": ""}, "d": 1, "e": timedelta(1)}
