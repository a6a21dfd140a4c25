"""Chooses among workspaces by name and tag. A filter that leaves nothing is an error: it is most likely a typo."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from ..wire.errors import ConfigurationError
from .values import Workspace


class NothingSelectedError(ConfigurationError):
    """The filters leave no workspace. Nothing was sent."""

    hint = "Check --only, --exclude and --tag; --dry-run lists what they leave."


def select(
    workspaces: Collection[Workspace],
    *,
    only: Iterable[str] = (),
    exclude: Iterable[str] = (),
    tags: Iterable[str] = (),
) -> tuple[Workspace, ...]:
    """Those that match one of `only` (glob patterns of names, case counts), none of `exclude`, and bear one of `tags`.

    An empty `only` or `tags` matches all. Raises NothingSelectedError where none is left.
    """
    only, exclude, wanted = tuple(only), tuple(exclude), frozenset(tags)

    def chosen(workspace: Workspace) -> bool:
        return (
            (not only or any(fnmatchcase(workspace.name, pattern) for pattern in only))
            and not any(fnmatchcase(workspace.name, pattern) for pattern in exclude)
            and (not wanted or not wanted.isdisjoint(workspace.tags))
        )

    selected = tuple(workspace for workspace in workspaces if chosen(workspace))
    if selected:
        return selected
    raise NothingSelectedError(f"None of the {len(workspaces)} workspaces is selected")
