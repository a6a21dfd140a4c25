"""A mute as a value: which findings it silences, why, and until when."""

from datetime import date
from fnmatch import fnmatchcase

from attrs import field, frozen

from ..values import Finding


@frozen(kw_only=True)
class Mute:
    """Silences what one rule finds, or one finding, for a stated reason and until a stated day, that day included.

    Exactly one of `rule` and `finding` (an id) is given. `workspace` and `subject` are glob patterns in which case
    counts; None matches all. `place` says where the mute was written.
    """

    reason: str
    until: date
    rule: str | None = None
    finding: str | None = None
    workspace: str | None = None
    subject: str | None = None
    place: str = field(default="", eq=False)

    def matches(self, workspace: str, found: Finding) -> bool:
        """Whether it is about this finding; the date does not matter here."""
        return (
            (found.rule == self.rule if self.finding is None else found.id == self.finding)
            and (self.workspace is None or fnmatchcase(workspace, self.workspace))
            and (self.subject is None or fnmatchcase(found.subject, self.subject))
        )

    @property
    def target(self) -> str:
        """What it silences, in the file's own words: the same text for the same mute in every run."""
        names = ("rule", "finding", "workspace", "subject")
        return ", ".join(f"{name} {value}" for name in names if (value := getattr(self, name)) is not None)


@frozen
class Muted:
    """A finding that is silenced, and the mute that does it."""

    finding: Finding
    mute: Mute


@frozen
class Sifted:
    """The findings of one workspace: those to report, in which expired mutes may have joined, and the silenced."""

    kept: tuple[Finding, ...]
    muted: tuple[Muted, ...] = ()
