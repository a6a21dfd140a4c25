"""Lets state that counts calls under way start afresh in a forked child process.

The parent's calls stay the parent's: in the child nobody finishes them, so their permits and time limits would be held
for ever. Limits that a server has asked for are kept.
"""

import os
from typing import Protocol
from weakref import WeakSet

count: int = 0
"""How many forks lie between this process and the first one. A permit from before a fork is not the child's."""


class Forked(Protocol):
    """State that counts calls under way."""

    def after_fork(self) -> None:
        """Forgets the calls of the parent process."""
        ...


_states: "WeakSet[Forked]" = WeakSet()


def register(state: Forked) -> None:
    """Has the state's `after_fork` called in each child process, as long as it exists."""
    _states.add(state)


def _after_fork() -> None:
    global count  # noqa: PLW0603 - it is the process's
    count += 1
    for state in list(_states):
        state.after_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)
