"""Who is let in: both headers, every way in which a key can be wrong, and rotation; through every skin."""

import pytest

from chatloom_async.sandbox import Sandbox
from tests.sandbox.skins import Ask, bearer

LIST = "/api/plugin/agents"
NO_KEY = {"error": "API key is required. Please provide it in Authorization or X-API-Key header."}
BAD_KEY = {"error": "The API key is malformed: send `Authorization: Bearer clf_...` or `X-API-Key: clf_...`."}
UNKNOWN_KEY = {"error": "The API key is invalid or expired."}


async def test_both_headers_work_identically(sandbox: Sandbox, ask: Ask) -> None:
    """The key is taken as a bearer token, in whatever case, as X-API-Key, or as both where they agree."""
    acme = sandbox.add_workspace("acme", agents=0)
    text = acme.key.reveal()
    for headers in (
        {"Authorization": f"Bearer {text}"},
        {"authorization": f"bearer  {text}"},
        {"X-API-Key": text},
        {"X-API-Key": text, "Authorization": ""},
        {"X-API-Key": text, "Authorization": f"Bearer {text}"},
    ):
        assert await ask(LIST, headers) == (200, {"agents": [], "count": 0})


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"X-API-Key": ""}])
async def test_no_key(sandbox: Sandbox, ask: Ask, headers: dict[str, str]) -> None:
    """Without a key comes the documented error, whatever the path."""
    assert await ask(LIST, headers) == (401, NO_KEY)
    assert await ask("/nowhere", headers) == (401, NO_KEY)
    assert sandbox.requests == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk_abc"},
        {"Authorization": "Bearer clf_your_api_key_here"},
        {"Authorization": "Bearer clf_a clf_b"},
        {"Authorization": "clf_abc"},
        {"Authorization": "Basic dTpw"},
        {"X-API-Key": "abc"},
        {"X-API-Key": "Bearer clf_abc"},
    ],
)
async def test_malformed_key(ask: Ask, headers: dict[str, str]) -> None:
    """A key with another prefix, or under another scheme, is malformed."""
    assert await ask(LIST, headers) == (401, BAD_KEY)


async def test_unknown_key(sandbox: Sandbox, ask: Ask) -> None:
    """A well-formed key that nobody has is invalid; one that is longer by a character too."""
    acme = sandbox.add_workspace("acme")
    for text in ("clf_abc", acme.key.reveal() + "x"):
        assert await ask(LIST, {"X-API-Key": text}) == (401, UNKNOWN_KEY)


async def test_disagreeing_headers(sandbox: Sandbox, ask: Ask) -> None:
    """Two keys that differ are refused, even where one of them is valid."""
    acme, other = sandbox.add_workspace("acme"), sandbox.add_workspace("other")
    expected = {"error": "Authorization and X-API-Key disagree. Please provide the API key in one of them."}
    for second in (other.key.reveal(), "clf_abc"):
        assert await ask(LIST, {**bearer(acme.key), "X-API-Key": second}) == (401, expected)
    for first in ("Basic dTpw", "Bearer"):
        assert await ask(LIST, {"Authorization": first, "X-API-Key": acme.key.reveal()}) == (401, expected)


async def test_rotation(sandbox: Sandbox, ask: Ask) -> None:
    """The old key stops working the moment a new one is generated, which has the same agents and a fresh limit."""
    acme = sandbox.add_workspace("acme", agents=3)
    old, before = acme.key, await ask(LIST, acme.key)
    new = acme.rotate_key()
    assert (new is acme.key, new == old) == (True, False)
    assert await ask(LIST, old) == (401, UNKNOWN_KEY)
    assert await ask(LIST, new) == before


def test_every_key_that_was_ever_issued(sandbox: Sandbox) -> None:
    """With the name of its workspace, so that a test can look for keys in its output."""
    acme, other = sandbox.add_workspace("acme"), sandbox.add_workspace("other")
    first = acme.key
    assert list(sandbox.keys()) == [("acme", first), ("other", other.key)]
    second = acme.rotate_key()
    assert list(sandbox.keys()) == [("acme", first), ("acme", second), ("other", other.key)]
