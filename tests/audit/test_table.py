"""Rows as a table for people: what stands where, at which width, in which colour, and what is left out."""

import pytest

from chatloom_async.audit import Failure, Finding, Row, Summary
from chatloom_async.audit.formats.ranking import NewFindings, Worst
from chatloom_async.audit.formats.table import TableFormat
from chatloom_async.audit.formats.text import RuleTexts
from chatloom_async.audit.values import make_finding
from tests.audit.test_formats import EVIL, ROWS, SALES, written
from tests.samples import KEY

TEXTS: RuleTexts = {
    "agent-gone": ("info", "It is gone.", "Nothing, if the deletion was intended."),
    "domain-wildcard": ("error", "Sites that nobody approved can show it.", "List the host names one by one."),
}
WILDCARD = make_finding(
    "acme", "domain-wildcard", "error", agent_id=SALES.id, subject="*.com", message='"*.com" is a wildcard.'
)
STALE = make_finding("acme", "mute-expired", "warning", agent_id=None, subject="rule domain-ip", message="It ended.")
FOUND = (Row("acme", "ok", ROWS[0].agents, (STALE, WILDCARD), None, 2), *ROWS[1:])

TABLE = """\
workspace  state    agents  domains  errors  warnings  info
acme       ok            1        2       1         1     0
birch      ok            1        0       0         0     1
cedar      failed        -        -       -         -     -
acacia     partial       1        0       0         0     0

acme  1 error  1 warning
  error    domain-wildcard  Sales Assistant  agt_abc123
           "*.com" is a wildcard.
  warning  mute-expired
           rule domain-ip: It ended.

birch  1 info
  info     agent-gone  Sales Assistant  agt_abc123
           It is gone.

How to fix
  error    1  domain-wildcard  List the host names one by one.
  warning  1  mute-expired
  info     1  agent-gone       Nothing, if the deletion was intended.

partial  acacia
  ServerError: 1 of 1 agents could not be read.

failed  cedar
  AuthenticationError: HTTP 401: Invalid API key.
"""
NARROW = """\
workspace  state
acme       ok
birch      ok
cedar      failed
acacia     partial

acme  1 error  1 warning
  error    domain-wildcard  Sales Assistant
           agt_abc123
           "*.com" is a wildcard.
  warning  mute-expired
           rule domain-ip: It ended.

birch  1 info
  info     agent-gone  Sales Assistant
           agt_abc123
           It is gone.

How to fix
  error    1  domain-wildcard
              List the host names one by
              one.
  warning  1  mute-expired
  info     1  agent-gone
              Nothing, if the deletion was
              intended.

partial  acacia
  ServerError: 1 of 1 agents could not be
  read.

failed  cedar
  AuthenticationError: HTTP 401: Invalid API
  key.
"""


@pytest.mark.parametrize(("width", "text"), [(None, TABLE), (80, TABLE), (44, NARROW)])
def test_the_table_tells_what_was_found_how_to_fix_it_and_what_failed(width: int | None, text: str) -> None:
    """Lines in the order of the list, the worst findings first; a narrow table leaves the numbers out."""
    assert written(TableFormat(TEXTS, width=width), FOUND) == text


def test_new_findings_come_first_and_are_marked() -> None:
    """Within a workspace, and the workspaces with some before the others."""
    gone = FOUND[1].findings[0]
    text = written(TableFormat(TEXTS, news=NewFindings(4, {STALE.id, gone.id, "of-another-report"})), FOUND)
    _, acme, birch, *_ = text.split("\n\n")
    assert acme.splitlines()[:3] == [
        "acme  1 error  1 warning  1 new",
        "  new  warning  mute-expired",
        "                rule domain-ip: It ended.",
    ]
    assert acme.splitlines()[3].split() == ["error", "domain-wildcard", "Sales", "Assistant", SALES.id]
    assert birch.splitlines()[:2] == ["birch  1 info  1 new", f"  new  info  agent-gone  Sales Assistant  {SALES.id}"]
    text = written(TableFormat(TEXTS, news=NewFindings(4, {gone.id})), FOUND)
    assert [block.split()[0] for block in text.split("\n\n")[1:3]] == ["birch", "acme"]


def test_without_findings_there_is_nothing_to_fix() -> None:
    """The table is all."""
    assert written(TableFormat(), ROWS[:1]) == (
        "workspace  state  agents  domains  errors  warnings  info\n"
        "acme       ok          1        2       0         0     0\n"
    )


def test_the_table_is_coloured_only_if_asked_for() -> None:
    """States and severities have colours, and nothing that is not on the screen has."""
    coloured = written(TableFormat(width=80, color=True), FOUND)
    assert "\x1b[32mok" in coloured
    assert "\x1b[31mfailed" in coloured
    assert "\x1b[31m1 error\x1b[0m" in coloured
    assert "\x1b" not in written(TableFormat(width=80), FOUND)


def test_what_a_tenant_writes_does_not_act_on_the_terminal() -> None:
    """No control characters, no markup, no keys: in names, subjects, rules and errors."""
    found = Finding("1", EVIL, "error", EVIL, EVIL, EVIL)
    text = written(TableFormat(), (Row(EVIL, "failed", (), (found,), Failure("E", EVIL), 1),))
    assert text.replace("\n", "").isprintable()
    assert "[bold]evil[/]" in text
    assert KEY not in text


def many(count: int) -> tuple[Finding, ...]:
    """So many findings, each of a rule of its own."""
    return tuple(Finding(str(number), f"rule-{number}", "info", None, "", "Note.") for number in range(count))


def test_a_workspace_shows_its_gravest_findings_and_counts_the_others() -> None:
    """A thousand would push all else off the screen. What is to be fixed is told of all rules."""
    text = written(TableFormat(), (Row("acme", "ok", (), (*many(1234), WILDCARD)),))
    assert text.count("Note.") == 3
    assert "\nacme  1 error  1,234 info\n  error    domain-wildcard  agt_abc123\n" in text
    assert "\n  and 1,231 more; --format json has all\n" in text
    assert text.count("  info   1  rule-") == 1234


def test_of_many_workspaces_the_worst_are_shown() -> None:
    """Those with most errors; of those that failed, as many as a screen holds."""
    rows = [Row(f"w{number:02}", "ok", (), many(1)) for number in range(30)]
    rows += [Row(f"x{number:02}", "failed", error=Failure("E", "broken")) for number in range(70)]
    rows += [Row("worst", "ok", (), (WILDCARD,))]
    text = written(TableFormat(), tuple(rows))
    assert [line for line in text.splitlines() if line.endswith(("1 error", "1 info"))] == [
        "worst  1 error",
        *(f"w{number:02}  1 info" for number in range(9)),
    ]
    assert "\n21 more workspaces with findings; --format json has all.\n" in text
    assert "\n20 more workspaces not audited; --format json has all.\n" in text
    assert text.count("\n  E: broken\n") == 50
    assert text.endswith("\n\nfailed  x49\n  E: broken\n")


def test_the_worst_are_kept_whenever_they_come() -> None:
    """In memory that does not grow with their number."""
    numbers = Worst[int](3, lambda number: (-number,))
    assert (numbers.items(), numbers.hidden) == ([], 0)
    for number in (5, 1, 9, 2, 8, 3, 7):
        numbers.add(number)
        assert len(numbers._ranked) < 6
    assert (numbers.items(), numbers.hidden) == ([9, 8, 7], 4)


def test_of_equals_the_first_are_kept() -> None:
    """The report is the same in every run."""
    texts = Worst[str](2, lambda text: (len(text),))
    for text in ("ccc", "aa", "bb", "dd", "ee", "f"):
        texts.add(text)
    assert texts.items() == ["f", "aa"]


def test_an_agent_that_vanished_is_gone_also_where_that_is_muted() -> None:
    """The totals reconcile whatever is reported."""
    summary = Summary()
    summary.add(Row("birch", "ok", ROWS[1].agents, (), None, 2))
    assert summary == Summary(ok=1, gone=1, requests=2)
