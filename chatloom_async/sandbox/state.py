"""What the sandbox remembers between requests: workspaces, keys, counts, and the answers rendered last.

It decides nothing, and holds no key but as an `ApiKey`.
"""

from collections import deque
from typing import NamedTuple

from attrs import Factory, define, field

from ..wire.auth import ApiKey
from ..wire.cleaning import clean
from .answers import Pages, pages
from .rate import Rate
from .workspace import Workspace

WARM = 4096  # workspaces whose answers are kept rendered, about 5 KB each with a dozen agents
LOGGED = 1000


class Seen(NamedTuple):
    """One request as the sandbox saw it. `workspace` is None without a valid key; `outcome` is what was sent."""

    workspace: str | None
    method: str
    path: str
    outcome: int | str  # the status, or "cut" or "lost"


@define(eq=False, repr=False)
class State:
    """Everything that changes. `warm` holds the workspaces with rendered answers, the longest rendered first."""

    rate: Rate | None
    workspaces: dict[str, Workspace] = field(factory=dict)
    keys: dict[ApiKey, Workspace] = field(factory=dict)
    warm: dict[Workspace, None] = field(factory=dict)
    log: deque[Seen] = Factory(lambda: deque[Seen](maxlen=LOGGED))
    requests: int = 0

    def pages(self, workspace: Workspace) -> Pages:
        """The workspace's answers as bytes, rendered when they are first asked for after a change."""
        if workspace.pages is None:
            workspace.pages = pages(workspace.agents)
            self.warm[workspace] = None
            if len(self.warm) > WARM:
                oldest = next(iter(self.warm))
                del self.warm[oldest]
                oldest.pages = None
        return workspace.pages

    def record(self, workspace: Workspace | None, method: str, path: str, outcome: int | str) -> None:
        """Counts and logs a request; a key in the path, where none belongs, is masked."""
        self.requests += 1
        if workspace is not None:
            workspace.requests += 1
        shown = clean(path, 200) if "clf_" in path or len(path) > 200 else path
        self.log.append(Seen(None if workspace is None else workspace.name, method[:20], shown, outcome))
