"""What holds for every text: no rule raises, judging twice gives the same, and ids do not depend on the order."""

from datetime import UTC, datetime, timedelta
from random import Random

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from chatloom_async.audit import AuditedAgent, Row
from chatloom_async.audit.rules import RULES, CheckedDomain, Judge, judge
from chatloom_async.audit.rules.hostname import parse_domain
from chatloom_async.audit.rules.whatwg import read_ipv4
from chatloom_async.wire.cleaning import CONTROL, KEY_LIKE
from tests.audit.rules.cases import NOW, TIDY, checked

PARTS = (
    "http://",
    "*",
    "*.",
    ".",
    "-",
    "xn--",
    "xn--py-7kc",
    "localhost",
    "co.uk",
    ":8443",
    "/",
    "@",
    "[",
    "]",
    "127",
    "0x",
)
ODD = ("::1", "\u0430", "\u3002", "\u00df", "\u0130", "\u200d", "\ud800", " ", "\x00", "clf_secret", "example", "A")
PIECES = st.sampled_from((*PARTS, *ODD))
TEXTS = st.text() | st.text(st.characters(max_codepoint=127)) | st.lists(PIECES, max_size=8).map("".join)
AGENTS = st.builds(
    AuditedAgent,
    st.builds(
        lambda identifier, texts, age: evolve(
            TIDY,
            id=identifier,
            created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=age),
            **dict(zip(("name", "primary_color", "secondary_color", "position", "status"), texts, strict=True)),
        ),
        TEXTS,
        st.tuples(*[TEXTS] * 5),
        st.integers(-1000, 1000),
    ),
    st.none() | st.lists(TEXTS, max_size=6).map(tuple),
)
EXPECT = st.none() | st.lists(TEXTS, max_size=3)


PLAIN_NAMES = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?(\.[a-z]{2,6}){1,2}\.?", fullmatch=True)


@given(PLAIN_NAMES | TEXTS, EXPECT)
@example("Shop.Example.com.", None)
@example("nas.local", None)
def test_a_rule_that_is_not_called_with_ordinary_domains_finds_nothing_about_them(
    text: str, expect: list[str] | None
) -> None:
    """Leaving them out saves time, and nothing else."""
    domain = parse_domain(text)
    (agent,) = checked(AuditedAgent(TIDY, (text,)), expect=expect).agents
    for rule in RULES:
        if domain.ordinary and not rule.ordinary:
            assert not list(rule.check(CheckedDomain(domain, agent)))


@given(st.lists(AGENTS, max_size=4), EXPECT)
def test_no_text_breaks_a_rule(agents: list[AuditedAgent], expect: list[str] | None) -> None:
    """No rule fails; ids are unique; messages hold neither keys nor control characters and have an end."""
    workspace = checked(*agents, expect=expect)
    findings = judge(workspace)
    assert "rule-failed" not in {each.rule for each in findings}
    assert len({each.id for each in findings}) == len(findings)
    for each in findings:
        assert not CONTROL.search(each.message)
        assert set(KEY_LIKE.findall(each.message)) <= {"clf_***"}
        assert each.message.strip()


@given(st.lists(AGENTS, max_size=4, unique_by=lambda each: each.agent.id), EXPECT, st.randoms())
def test_judging_twice_gives_the_same(agents: list[AuditedAgent], expect: list[str] | None, dice: Random) -> None:
    """Also with the memory of parsed domains emptied, and the ids also where the agents come in another order."""
    workspace = checked(*agents, expect=expect)
    findings = judge(workspace)
    parse_domain.cache_clear()
    again = checked(*agents, expect=expect)
    assert judge(again) == findings
    shuffled = list(agents)
    dice.shuffle(shuffled)
    assert {each.id for each in judge(checked(*shuffled, expect=expect)) if each.rule != "contract-order"} == {
        each.id for each in findings if each.rule != "contract-order"
    }


@given(st.lists(AGENTS, max_size=2))
def test_a_run_judges_every_row(agents: list[AuditedAgent]) -> None:
    """The same workspace in two runs has the same row."""
    row, workspace = Row("acme", "ok", tuple(agents)), checked().workspace
    first, second = (Judge(clock=lambda: NOW).judge(row, workspace) for _ in range(2))
    assert first == second
    assert (first.agents, first.state) == (row.agents, row.state)


@given(TEXTS)
@example("1" * 5000)
@example("xn--" + "9" * 59)
@example("0x" + "f" * 14)
def test_every_text_is_a_domain(text: str) -> None:
    """A host is what it means: it parses to itself, and what is spelled in Punycode comes back."""
    domain = parse_domain(text)
    assert domain.text == text
    if not domain.problems and not domain.wildcard and domain.host:
        again = parse_domain(domain.host)
        assert (again.host, again.key, again.problems) == (domain.host, domain.key, ())
        assert parse_domain(domain.sent).host == domain.host


@given(st.integers(0, 2**32 - 1))
def test_every_spelling_of_an_address_is_the_address(number: int) -> None:
    """Decimal, octal, hexadecimal; in one to four parts."""
    first, rest = divmod(number, 2**24)
    second, last = divmod(rest, 2**16)
    spellings = (f"{number}", f"{number:#x}", f"0{number:o}", f"{first}.{rest}", f"{first:#X}.0{second:o}.{last}")
    assert {int(address) for text in spellings if (address := read_ipv4(text)) is not None} == {number}
    assert all(read_ipv4(text) is not None for text in spellings)
