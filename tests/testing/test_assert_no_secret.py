"""What assert_no_secret finds. A find is a failure that names the place, and does not show the key itself."""

import logging
from collections.abc import Callable

import pytest
from attrs import field, frozen

from chatloom_async import AsyncChatloom, MockTransport, Request, Response, Sandbox, ServerError
from tests.samples import failure

Check = Callable[..., None]

log = logging.getLogger("program")


@frozen
class Hidden:
    """A value that shows its text in one place only."""

    in_str: str = field(default="", repr=False)
    in_repr: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.in_str

    def __repr__(self) -> str:
        return f"Hidden({self.in_repr})"

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Hidden, ()


@frozen(repr=False)
class Pickled:
    """A value that shows its text to pickle only."""

    text: str


def found(check: Check, *objects: object) -> str:
    """What the failure says."""
    with pytest.raises(pytest.fail.Exception) as caught:
        check(*objects)
    return str(caught.value)


@pytest.fixture
def key(chatloom_sandbox: Sandbox) -> str:
    """A key as text, which a test must never have in a local variable that a traceback shows."""
    return chatloom_sandbox["acme"].key.reveal()


def test_it_names_the_place(assert_no_secret: Check, key: str) -> None:
    """Of the argument, its number and type, and what stands before the key there."""
    start = "The API key of workspace 'acme' is in the "
    assert {
        found(assert_no_secret, "fine", Hidden(in_str=f"Bearer {key}")),
        found(assert_no_secret, Hidden(in_repr=key)),
        found(assert_no_secret, [1, {"key": key}]),
        found(assert_no_secret, key),
        found(assert_no_secret, key.encode()),
    } == {
        f"{start}str of argument 2, of type Hidden: ...Bearer clf_***",
        f"{start}repr of argument 1, of type Hidden: ...Hidden(clf_***",
        f"{start}str of argument 1, of type list: ...[1, {{'key': 'clf_***",
        f"{start}str of argument 1, of type str: ...clf_***",
        f"{start}str of argument 1, of type bytes: ...b'clf_***",
    }
    assert f"{start}pickle of argument 1, of type Pickled: ..." in found(assert_no_secret, Pickled(key))


def test_it_finds_other_spellings(assert_no_secret: Check, key: str) -> None:
    """Such as the one of a dumped request body."""
    assert found(assert_no_secret, f"0x{key.encode().hex()}").endswith("of type str: ...0xclf_***")
    broken = f"bad key {key[:6]}{' ' * 9}{key[6:]}"  # the place of the key in the text is not found then
    assert found(assert_no_secret, broken).endswith("of type str: ...clf_***")


def test_it_finds_every_key_that_there_ever_was(assert_no_secret: Check, chatloom_sandbox: Sandbox) -> None:
    """Before rotations, and of workspaces that were added later."""
    keys = [chatloom_sandbox["acme"].key]
    keys += [chatloom_sandbox["acme"].rotate_key(), chatloom_sandbox.add_workspace("other").key]
    said = [found(assert_no_secret, key.reveal()) for key in keys]
    assert [each.split("'")[1] for each in said] == ["acme", "acme", "other"]
    assert_no_secret(*keys)


async def test_it_looks_into_the_local_variables_of_a_traceback(assert_no_secret: Check, key: str) -> None:
    """And of whatever the exception came from; a text that is masked or left out is fine."""

    def handler(request: Request) -> Response:
        header = request.headers["authorization"] if leaking else "***"
        raise ValueError(f"no answer to a header of {len(header)} characters")

    client = AsyncChatloom(key, transport=MockTransport(handler))
    for leaking in (True, False):
        try:
            await client.list_agents()
        except ValueError as problem:
            caught = problem
        caught.__traceback__ = caught.__traceback__.tb_next if caught.__traceback__ else None  # this test holds the key
        if leaking:
            said = found(assert_no_secret, RuntimeError(), caught)
            assert "in the traceback with locals of argument 2, of type ValueError: ..." in said
            assert said.endswith("header = 'Bearer clf_***")
            assert key not in said
        else:
            assert_no_secret(caught)


@pytest.mark.parametrize("how", ["message", "arguments", "extra"])
def test_it_looks_into_the_captured_logs(assert_no_secret: Check, key: str, how: str) -> None:
    """As they would be printed, and what other formats would add."""
    message = {"message": f"signed with {key}", "arguments": "signed with %s", "extra": "signed"}[how]
    log.warning(message, *([key] if how == "arguments" else []), extra={"key": key} if how == "extra" else None)
    assert "'acme' is in the captured logs: ..." in found(assert_no_secret)


def test_it_sees_debug_messages_of_the_package(assert_no_secret: Check, key: str) -> None:
    """Its logger is set to DEBUG, whatever the program under test shows."""
    logging.getLogger("chatloom_async.somewhere").debug("signed with %s", key)
    assert "'acme' is in the captured logs: ...signed with clf_***" in found(assert_no_secret)


async def test_the_packages_own_errors_and_logs_are_clean(
    assert_no_secret: Check, chatloom_client: AsyncChatloom, chatloom_sandbox: Sandbox
) -> None:
    """What the fixture is for, tried on the package itself: an API that echoes the key in its error."""
    acme = chatloom_sandbox["acme"]
    acme.fails(500, times=None, message=f"cannot serve {acme.key.reveal()}")
    with pytest.raises(ServerError) as caught:
        await chatloom_client.list_agents()
    assert_no_secret(caught.value, chatloom_client, failure(500))
