"""Writes the list of workspaces as TOML, with the domains that each one allows today as its `expect`.

An audit of that list reports what changes from then on. The list has references to keys, never keys.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ...wire.errors import ConfigurationError
from ..keys import KeyCommand, KeyEnv, KeyFile, KeyJson, KeyReference
from ..rules.hostname import parse_domain
from ..values import Row, Summary, Workspace
from .text import visible

UNDECODED = re.compile(r"[\udc80-\udcff]")  # what Python puts in place of the bytes of a path that are not UTF-8

HEAD = """\
# What these workspaces allow, written by `chatloom audit --write-expect`. Remove what is not approved:
# the next audit with this list reports every domain that is not in `expect`, and every one that is missing.
"""


class KeyInListError(ConfigurationError):
    """A list of workspaces is to be written, and one of them has its key in it. Nothing was sent."""

    hint = "Name the keys by key_env, key_json, key_file or key_command."


class PathInListError(ConfigurationError):
    """A list of workspaces is to be written, and TOML cannot hold the path of a key file. Nothing was sent."""

    hint = "Rename the folder or the file, or name the key by key_env, key_json or key_command."


class ExpectationFormat:
    """A workspace that was not read as a whole keeps its `expect`. Raises KeyInListError, PathInListError."""

    def __init__(self, workspaces: Collection[Workspace]) -> None:
        self._entries = {workspace.name: _entry(workspace) for workspace in workspaces}
        self._before = {workspace.name: workspace.expect for workspace in workspaces}

    def pieces(self, rows: Sequence[Row], summary: Summary) -> Iterator[str]:
        yield HEAD
        missing = dict.fromkeys(self._entries)
        for row in rows:
            missing.pop(row.workspace, None)
            yield self._entries[row.workspace] + (
                _allowed(row, self._before[row.workspace] or ()) if row.state == "ok" else self._unread(row.workspace)
            )
        for name in missing:
            yield self._entries[name] + self._unread(name)

    def _unread(self, name: str) -> str:
        before = self._before[name]
        expect = "" if before is None else f"expect = [{', '.join(map(_quoted, before))}]\n"
        return f"# Not read as a whole: `expect` is as before.\n{expect}"


def _entry(workspace: Workspace) -> str:
    tags = f"tags = [{', '.join(map(_quoted, workspace.tags))}]\n" if workspace.tags else ""
    return f"\n[[workspaces]]\nname = {_quoted(workspace.name)}\n{_key(workspace.key, workspace.name)}\n{tags}"


def _key(key: KeyReference, name: str) -> str:
    if isinstance(key, KeyEnv):
        return f"key_env = {_quoted(key.name)}"
    if isinstance(key, KeyJson):
        return f"key_json = {_quoted(f'{key.variable}#{key.member}')}"
    if isinstance(key, KeyFile):
        path = str(key.path if str(key.path).startswith("~") else Path.cwd() / key.path)
        if UNDECODED.search(path):
            problem = "has a path that is not UTF-8, which a list cannot hold"
            raise PathInListError(f"The key file of workspace {visible(name)} {problem}: {visible(path)}")
        return f"key_file = {_quoted(path)}"
    if isinstance(key, KeyCommand):
        return f"key_command = [{', '.join(map(_quoted, key.argv))}]"
    raise KeyInListError(f"The workspace {visible(name)} has its key in the list, and keys are never written")


def _allowed(row: Row, before: Collection[str]) -> str:
    """The domains that its agents allow, without repetitions.

    An entry that is not a host name becomes a comment. So does one with a wildcard, unless it was expected `before`: in
    `expect` it is a pattern, and would approve more domains than are there today.
    """
    texts = dict.fromkeys(text for agent in row.agents for text in agent.domains or ())
    names, comments = set[str](), ""
    for domain in map(parse_domain, texts):
        if domain.problems:
            comments += f"# Left out, since it is not a host name: {visible(domain.text)}\n"
        elif "*" in domain.key and domain.text not in before:
            comments += f"# Left out, since it would approve every domain that fits: {visible(domain.text)}\n"
        else:
            names.add(domain.key)
    lines = "".join(f"    {_quoted(name)},\n" for name in sorted(names))
    return comments + (f"expect = [\n{lines}]\n" if names else "expect = []\n")


def _quoted(text: str) -> str:
    """As a TOML string: like JSON, but DEL is escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
