"""A sandbox with workspaces in it, for `chatloom sandbox` and for audits without a key. All of it is fictional."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sandbox import Sandbox

NAMES = ("acorn", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper", "katsura", "larch")


def planted(*, workspaces: int, agents: int, seed: int, rate_limit: float | None = 300) -> "Sandbox":
    """A sandbox with so many workspaces of so many agents; the same seed gives the same keys and data."""
    from ..sandbox import Sandbox

    sandbox = Sandbox(seed=seed, rate_limit=rate_limit)
    for number in range(workspaces):
        cycle, place = divmod(number, len(NAMES))
        sandbox.add_workspace(NAMES[place] + (f"-{cycle + 1}" if cycle else ""), agents=agents)
    return sandbox
