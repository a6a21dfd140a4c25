"""Turns --rule, --rules, --fail-on, --mutes and --baseline into rules, and findings into what counts of them."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import Factory, define, evolve

from ..audit.diff import new_findings
from ..audit.formats.ranking import NewFindings, RuleTexts
from ..audit.mutes import Sieve, load_mutes
from ..audit.rules import RULES, Rule, installed_rules, joined, load_rules, select_rules
from ..audit.store import open_store
from ..audit.values import Row, Severity, at_or_above
from ..wire.errors import ConfigurationError
from .options import FailOn, Judging

Known = Callable[[frozenset[str]], Awaitable[frozenset[str]]]


class BaselineError(ConfigurationError):
    """A baseline is asked for, and no database that could hold it. Nothing was sent."""

    hint = "Name the database: --db PATH; `chatloom runs --db PATH` lists its runs."


def chosen_rules(judging: Judging) -> tuple[tuple[Rule, ...], RuleTexts]:
    """The rules to apply, and what all that there are say of themselves. Raises a ConfigurationError."""
    every = joined(RULES, installed_rules(), *map(load_rules, judging.rules))
    return select_rules(every, judging.rule), {each.id: (each.severity, each.why, each.fix) for each in every}


async def _nothing_known(_: frozenset[str]) -> frozenset[str]:
    return frozenset()


@define
class Verdict:
    """What the findings of one audit come to. `counting` has those that are neither muted nor in the baseline; `news`
    tells them, where there is a baseline."""

    fail_on: FailOn
    sieve: Sieve
    known: Known = _nothing_known
    counting: Counter[Severity] = Factory(Counter)
    muted: int = 0
    news: NewFindings | None = None

    async def on(self, row: Row) -> Row:
        """The row without muted findings."""
        sifted = self.sieve.sift(row.workspace, row.findings)
        self.muted += len(sifted.muted)
        fresh = sifted.kept
        if fresh:
            fresh = new_findings(fresh, await self.known(frozenset(each.id for each in fresh)))
        if self.news:
            self.news.findings.update(each.id for each in fresh)
        self.counting.update(each.severity for each in fresh)
        return evolve(row, findings=sifted.kept) if sifted.kept != row.findings else row

    @property
    def failing(self) -> int:
        """How many findings are as grave as --fail-on says."""
        return 0 if self.fail_on == "never" else sum(self.counting[each] for each in at_or_above(self.fail_on))


def refuse_without_baseline(judging: Judging, db: Path | None) -> None:
    """Raises BaselineError where no database is named that could hold the baseline."""
    if judging.baseline is not None and db is None:
        raise BaselineError("--baseline names a run, but there is no --db")


@asynccontextmanager
async def verdict(
    judging: Judging, db: Path | None, *, rules: Collection[str], sandbox: bool
) -> AsyncIterator[Verdict]:
    """The verdict to be. Its baseline is read through a connection of its own, so that no commit has to wait; mutes
    may be for any of `rules`.

    Raises a ConfigurationError.
    """
    fail_on: FailOn = judging.fail_on or ("never" if sandbox else "error")
    sieve = Sieve(() if judging.mutes is None else load_mutes(judging.mutes, rules=rules), datetime.now(UTC).date())
    baseline = judging.baseline
    if baseline is None or db is None:
        yield Verdict(fail_on, sieve)
        return
    async with open_store(db, write=False) as store:
        await store.run_info(baseline)
        news = NewFindings(baseline, set())
        yield Verdict(fail_on, sieve, lambda ids: store.known_findings(baseline, ids), news=news)
