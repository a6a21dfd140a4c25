"""Turns survivors.txt into the reasons why no test can notice a change, by the change.

    chatloom_async.policy.limiter
    - the line as it is
    + the line as it was changed
    Why nobody can tell the difference.

A blank line ends an entry. Lines are compared without the blanks around them, so that they may move.
"""

from attrs import frozen


@frozen
class Change:
    """What was changed in a module: the lines that went, and those that came."""

    module: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @classmethod
    def of(cls, name: str, difference: str) -> "Change":
        """From a change's name and its unified difference."""
        lines = [line for line in difference.splitlines() if not line.startswith(("--- ", "+++ "))]
        return cls(name.rsplit(".", 1)[0], _marked("-", lines), _marked("+", lines))

    def __str__(self) -> str:
        return "\n".join([self.module, *(f"- {each}" for each in self.removed), *(f"+ {each}" for each in self.added)])


def _marked(mark: str, lines: list[str]) -> tuple[str, ...]:
    return tuple(line[1:].strip() for line in lines if line.startswith(mark))


def explained(text: str) -> dict[Change, str]:
    """The reasons. Raises ValueError for an entry without one."""
    reasons: dict[Change, str] = {}
    for entry in text.split("\n\n"):
        module, *lines = entry.strip().splitlines()
        why = [line for line in lines if line[:1] not in ("-", "+")]
        if not why:
            raise ValueError(f"survivors.txt does not say why nobody notices this:\n{entry}")
        reasons[Change(module, _marked("-", lines), _marked("+", lines))] = "\n".join(why)
    return reasons
