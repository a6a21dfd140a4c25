"""The targets that read a file or standard input: workspaces, mutes and recordings. See targets.py."""

from collections.abc import Callable
from pathlib import Path

from chatloom_async import ApiKey, ConfigurationError
from chatloom_async.audit import WorkspacesFileError, load_ndjson, load_workspaces
from chatloom_async.audit.mutes import MutesFileError, load_mutes
from chatloom_async.transports.recording import read, write

from .promises import explained


def workspaces(suffix: str) -> Callable[[bytes, Path], None]:
    """The reader of workspaces files whose names end like this."""

    def target(data: bytes, directory: Path) -> None:
        path = directory / f"workspaces{suffix}"
        path.write_bytes(data)
        for inline in (False, True):
            try:
                found = load_workspaces(path, inline_keys=inline)
            except WorkspacesFileError as error:
                explained(error, WorkspacesFileError, begin=f"{path}: ")
            else:
                assert len({each.name for each in found}) == len(found) > 0
                assert inline or not any(isinstance(each.key, ApiKey) for each in found)

    return target


def standard_input(data: bytes, _: Path) -> None:
    """NDJSON as a text, in which undecodable bytes may be lone surrogates."""
    try:
        found = load_ndjson(data.decode(errors="surrogateescape"), inline_keys=True)
    except WorkspacesFileError as error:
        explained(error, WorkspacesFileError, begin="standard input: ")
    else:
        assert len({each.name for each in found}) == len(found) > 0


def mutes(data: bytes, directory: Path) -> None:
    """Every mute has a reason, a last day, and exactly one target."""
    path = directory / "mutes.toml"
    path.write_bytes(data)
    try:
        found = load_mutes(path)
    except MutesFileError as error:
        explained(error, MutesFileError, begin=f"{path}: ")
    else:
        assert all(each.reason.strip() and each.until and each.target for each in found)
        assert all((each.rule is None) != (each.finding is None) for each in found)


def cassette(data: bytes, directory: Path) -> None:
    """What can be read is written and read again as the same."""
    path = directory / "cassette.json"
    path.write_bytes(data)
    try:
        found = read(path)
    except ConfigurationError as error:
        explained(error, ConfigurationError, begin=f"The recording {path} ")
    else:
        write(path, found)
        again = read(path)
        assert len(again) == len(found)
        assert all(each in again for each in found)
