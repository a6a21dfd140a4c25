"""Remembers which workspace had which domain and which key, while an audit runs.

It grows with the number of different domains, by about 100 bytes each, whatever else is in the rows: a domain is
kept as its hash, a workspace as its number.
"""

from collections.abc import Iterable

from attrs import Factory, define

from .subjects import Others

NAMED = 3  # so many other workspaces are named; the rest is counted


@define
class Sharers:
    """Those that have something in common: the first few, and how many."""

    first: list[int]
    count: int = 1


@define
class Neighbours:
    """Who has something in common with whom, of those noted so far. Two different texts with the same 64-bit hash
    count as the same: with a million of them, a chance of one in thirty million."""

    _names: list[str] = Factory(list)
    _alone: dict[int, int] = Factory(dict)
    _shared: dict[int, Sharers] = Factory(dict)

    def note(self, workspace: str, things: Iterable[str]) -> dict[str, Others]:
        """Notes what the workspace has, and returns by thing which others had it before. Call it once a workspace."""
        number = len(self._names)
        self._names.append(workspace)
        found = ((thing, self._note(number, hash(thing))) for thing in dict.fromkeys(things))
        return {thing: others for thing, others in found if others is not None}

    def _note(self, number: int, thing: int) -> Others | None:
        earlier = self._alone.setdefault(thing, number)
        if earlier == number:
            return None
        sharers = self._shared.setdefault(thing, Sharers([earlier]))
        others = Others(tuple(self._names[each] for each in sharers.first), sharers.count)
        sharers.count += 1
        sharers.first += [number] if len(sharers.first) < NAMED else []
        return others
