"""Turns findings into those that are reported and those that are muted, and tells which mutes did nothing.

Rows are stored with all that was found, and sifted when they are reported; so a mute never hides the past.
"""

from collections.abc import Iterable
from datetime import date

from attrs import define, field

from ..values import Finding, finding
from .values import Mute, Muted, Sifted


def _mutes(mutes: Iterable[Mute]) -> tuple[Mute, ...]:
    return tuple(mutes)


@define
class Sieve:
    """The mutes of one run. `today` is the day, in UTC, on which it takes place; the first mute that matches counts."""

    mutes: tuple[Mute, ...] = field(converter=_mutes)
    today: date
    _used: set[int] = field(factory=set, init=False)

    def sift(self, workspace: str, findings: Iterable[Finding]) -> Sifted:
        """Every finding once, kept or muted; and for each expired mute that would have silenced one, a finding
        `mute-expired` of its own, after the others."""
        kept: list[Finding] = []
        muted: list[Muted] = []
        expired: dict[int, Mute] = {}
        for found in findings:
            matching = {place: mute for place, mute in enumerate(self.mutes) if mute.matches(workspace, found)}
            self._used.update(matching)
            valid = [mute for mute in matching.values() if self.today <= mute.until]
            if valid:
                muted.append(Muted(found, valid[0]))
            else:
                kept.append(found)
                expired |= matching
        ended = (_ended(workspace, expired[place]) for place in sorted(expired))
        return Sifted((*kept, *ended), tuple(muted))

    def unused(self) -> tuple[str, ...]:
        """A sentence for each mute that matched nothing in any `sift` so far. Ask at the end of a whole run."""
        return tuple(
            f"The mute {mute.place or mute.target} matched nothing: {'it expired too; ' * (mute.until < self.today)}"
            "remove it, or correct what it names"
            for place, mute in enumerate(self.mutes)
            if place not in self._used
        )


def _ended(workspace: str, mute: Mute) -> Finding:
    message = (
        f"The mute ended on {mute.until.isoformat()} (it was there because: {mute.reason}). "
        "Correct what it was for, or give it a new date."
    )
    return finding(workspace, "mute-expired", "warning", agent_id=None, subject=mute.target, message=message)
