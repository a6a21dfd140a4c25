"""The command as it was typed, so that the next one can be proposed in its words. Text only."""

import shlex
from collections.abc import Container, Sequence
from contextvars import ContextVar

TYPED: ContextVar[Sequence[str]] = ContextVar("TYPED", default=("audit",))
FLAGS = ("--resume",)
"""Options without a value."""


def command(*words: str) -> str:
    """A command of this program, ready to be copied into a shell."""
    return shlex.join(["chatloom", *words])


def again(*more: str, without: Container[str] = (), typed: Sequence[str] | None = None) -> str:
    """The same command without these options and their values, and with what is new at its end."""
    kept: list[str] = []
    words = iter(TYPED.get() if typed is None else typed)
    for word in words:
        name, assigned, _ = word.partition("=")
        if name not in without:
            kept.append(word)
        elif not assigned and name not in FLAGS:
            next(words, None)
    return command(*kept, *more)
