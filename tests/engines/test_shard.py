"""Shards and what comes back of them, as values that travel."""

import pickle

import pytest

from chatloom_async import ApiKey, ConfigurationError, InvalidBaseUrlError
from chatloom_async.audit import Failure, KeyEnv, Row, Workspace
from chatloom_async.engines import EngineLostError, ShardRead, ShardResult
from tests.engines.planted import shard_of
from tests.samples import KEY

WORKSPACES = tuple(Workspace(name, KeyEnv(f"KEY_{name}")) for name in "abcde")


def test_a_shard_travels() -> None:
    """A pickled shard comes out equal."""
    shard = shard_of(*WORKSPACES)
    assert pickle.loads(pickle.dumps(shard)) == shard


def test_a_key_does_not_travel() -> None:
    """A workspace that holds its key is refused by name, and the error says what to use."""
    with pytest.raises(ConfigurationError) as caught:
        shard_of(*WORKSPACES, Workspace("acme", ApiKey(KEY)))
    assert caught.value.message == (
        "Workspace 'acme' holds its key itself, and keys are not sent to workers: use key_env, key_json, key_file or "
        "key_command, or audit in one process"
    )


def test_an_address_is_checked_before_anything_is_sent() -> None:
    """A base URL that a client would refuse is refused where the shard is made."""
    with pytest.raises(InvalidBaseUrlError):
        shard_of(*WORKSPACES, base_url="http://example.com")


def test_what_logs_show_is_short() -> None:
    """The repr tells id and size, and no reference."""
    assert repr(shard_of(*WORKSPACES)) == "Shard('1', workspaces=5)"


def test_parts_hold_everything_in_order() -> None:
    """A shard in three parts, or in as many as it has workspaces."""
    shard = shard_of(*WORKSPACES)
    names = {
        count: [(part.id, [each.name for each in part.workspaces]) for part in shard.parts(count)] for count in (3, 9)
    }
    assert names == {
        3: [("1.1", ["a", "b"]), ("1.2", ["c", "d"]), ("1.3", ["e"])],
        9: [(f"1.{number}", [name]) for number, name in enumerate("abcde", 1)],
    }


def test_a_shard_can_fail_as_a_whole() -> None:
    """Every workspace has a failed row with the reason."""
    error = Failure.of(EngineLostError("Gone"))
    rows = tuple(ShardRead(row=Row(each.name, "failed", error=error)) for each in WORKSPACES)
    assert shard_of(*WORKSPACES).failed(error) == ShardResult("1", rows)
