"""The HTML report: what is in the file, without a browser."""

import html
import json
import re
import sys
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve

from chatloom_async import MissingExtraError
from chatloom_async.audit import AuditedAgent, Failure, Finding, Row
from chatloom_async.audit.formats.html import HtmlFormat
from chatloom_async.audit.formats.html.charts import RUNS, Column, Share, card_of, shares, trends
from chatloom_async.audit.formats.html.report import Room, environment, gravity_of
from chatloom_async.audit.formats.ranking import NewFindings
from chatloom_async.audit.formats.text import visible
from chatloom_async.audit.values import SEVERITIES
from tests.audit.formats.reported import (
    EMPTY,
    GLASS,
    HOSTILE,
    NOW,
    ROWS,
    SALES,
    SHARED,
    TEXTS,
    WILDCARD,
    golden,
    hostile_rows,
    written,
)

pytest.importorskip("jinja2", reason="jinja2 is of the extra [html]")

PAST = ((NOW - timedelta(days=14), 4, 0, 2), (NOW - timedelta(days=7), 2, 1, 2))
ASSETS = re.compile(r"(?s)(<style>).*?(</style>)|(<script>).*?(</script>)|'sha256-[^']*'")


class Skeleton(HTMLParser):
    """The elements with the names of their attributes, the values of these, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: dict[str, set[str]] = {}
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            self.values.setdefault(name, set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page() -> None:
    """Totals, trend, rules, workspaces from the worst on, and the table of all; style and script are left out here."""
    page = ASSETS.sub(r"\1\2\3\4", written(HtmlFormat(TEXTS, past=PAST, when=NOW)))
    assert page == golden("report.html", page)


def test_the_policy_allows_this_style_and_this_script_and_nothing_else() -> None:
    """By their hashes; there is no other style, script or handler, and no address but the file's own places."""
    page = written(HtmlFormat(TEXTS, past=PAST, when=NOW))
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    for kind in ("style", "script"):
        (text,) = re.findall(f"(?s)<{kind}>(.*?)</{kind}>", page)
        assert f"{kind}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    skeleton = Skeleton(page)
    assert not {"style", "onclick", "src", "srcset", "action", "formaction", "poster"} & set(skeleton.values)
    assert {value[:1] for value in skeleton.values["href"] if not value.startswith("data:image/svg+xml,")} == {"#"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_is_only_text(text: str) -> None:
    """The page has the elements and attributes that it has for a harmless text, and shows the text as it is."""
    hostile, harmless = (
        Skeleton(written(HtmlFormat({each: ("error", each, each)}), hostile_rows(each))) for each in (text, "harmless")
    )
    assert hostile.elements == harmless.elements
    assert hostile.values["href"] == {
        value.replace("harmless", "-" * len(text)) if value.startswith("#finding-") else value
        for value in harmless.values["href"]
    } or any(each.isalnum() for each in text)
    assert "fill" not in hostile.values or hostile.values["fill"] == harmless.values["fill"]
    assert visible(text) in hostile.texts or not visible(text).strip()
    assert "".join(hostile.texts).replace("\n", "").isprintable()


def test_what_the_engine_could_take_for_a_template_is_text() -> None:
    """Values are not rendered again."""
    assert "{{ 7 * 7 }}" in written(HtmlFormat(), hostile_rows("{{ 7 * 7 }}"))


VERDICTS = {
    "No workspace was audited": (),
    "1 of 4 workspaces has errors": ROWS,
    "2 of 2 workspaces have errors": (ROWS[1], evolve(ROWS[1], workspace="again")),
    "None of 1 workspace could be audited": ROWS[2:3],
    "No errors, but warnings in 1 of 2 workspaces": (ROWS[0], evolve(ROWS[1], findings=(EMPTY,))),
    "Nothing urgent in what could be read": (ROWS[0], ROWS[2]),
    "Nothing urgent in 1 workspace": ROWS[:1],
}


@pytest.mark.parametrize(("verdict", "rows"), list(VERDICTS.items()))
def test_the_heading_says_what_it_came_to(verdict: str, rows: tuple[Row, ...]) -> None:
    """In one sentence, for whoever reads no further."""
    assert f"<h1>{verdict}</h1>" in written(HtmlFormat(), rows)


def test_an_interrupted_audit_says_so() -> None:
    """Before any number."""
    page = written(HtmlFormat(), (), interrupted=True)
    assert "The audit was stopped before it reached every workspace." in page
    assert "The audit was stopped" not in written(HtmlFormat(), ())


def test_what_is_missing_is_said() -> None:
    """How many workspaces were not read, and how many in part."""
    one = evolve(ROWS[3], findings=())
    unread, partial, missing = "could not be read at all", "could be read only in part", "These numbers may not include"
    assert f"1 workspace {unread}. {missing} its data." in written(HtmlFormat(), (ROWS[2],))
    assert f"1 workspace {partial}. {missing} its data." in written(HtmlFormat(), (one,))
    assert f"1 workspace {unread}, and 1 workspace {partial}. {missing} their data." in written(HtmlFormat(), ROWS)


def test_one_finding_on_two_rows_has_two_addresses() -> None:
    """An id may be there once only in a page; the row that is shown first has the plain one."""
    skeleton = Skeleton(written(HtmlFormat()))
    addresses = {value for value in skeleton.values["id"] if value.startswith("finding-")}
    assert addresses == {
        f"finding-{WILDCARD.id}",
        f"finding-{EMPTY.id}",
        f"finding-{SHARED.id}",
        f"finding-{SHARED.id}-2",
    }


def test_a_page_about_a_sandbox_says_that_its_data_is_fictional() -> None:
    """Since it looks like any other."""
    notice = "The workspaces, agents and domains on this page are fictional."
    assert notice in written(HtmlFormat(fictional=True))
    assert notice not in written(HtmlFormat())


def test_what_an_earlier_run_did_not_have_is_marked() -> None:
    """And counted above; without a baseline nothing is said of it."""
    page = written(HtmlFormat(news=NewFindings(4, {WILDCARD.id, "of-another-report"})))
    assert page.count('<span class="new">New</span>') == 1
    assert f'<span class="new">New</span><bdi>{html.escape(WILDCARD.message, quote=True)}' in page.replace(
        "&#34;", "&quot;"
    )
    assert "2 findings are new since run 4, and marked as new." in page
    assert "0 findings are new since run 4." in written(HtmlFormat(news=NewFindings(4, set())))
    assert "since run" not in written(HtmlFormat())


def fleet(number: int) -> tuple[Row, ...]:
    """Workspaces of which every second has an error."""
    domains = tuple(f"site-{n}.example" for n in range(30))
    error = Finding("1", "rule", "error", None, "", "It is wrong.")
    return tuple(
        Row(f"w{n}", "ok", (AuditedAgent(SALES, domains),), (error,) if n % 2 else (), None, 2) for n in range(number)
    )


def test_of_a_large_fleet_the_page_shows_the_worst_and_says_so() -> None:
    """The table has every workspace all the same, and cards are left out before sections are."""
    page = written(HtmlFormat(room=Room(sections=4000, cards=4000)), fleet(40)).partition('<script type="app')[0]
    assert re.findall(r'<article class="workspace" id="(w\d+)"', page) == ["w1", "w3", "w5", "w7"]
    assert page.count('<details class="fold agents">') == 2
    assert page.count("<tr data-w=") == 40
    assert "the 4 workspaces that need attention most, with 4 findings." in page


def test_what_needs_attention_most_comes_first() -> None:
    """Errors, then what was not read, warnings, what was read in part, and infos; of the same, the more of them."""
    error, warning, info = (Finding("1", "rule", severity, None, "", "It is so.") for severity in SEVERITIES)
    oops = Failure("ServerError", "Oops.")
    rows = [
        *(Row("errors", "ok", (), (error, error)), Row("error", "ok", (), (error, warning))),
        *(
            Row("failed", "failed", error=oops),
            Row("warning", "ok", (), (warning,)),
            Row("partial", "partial", error=oops),
        ),
        *(Row("infos", "ok", (), (info, info)), Row("info", "ok", (), (info,)), Row("fine", "ok")),
    ]
    backwards = rows[::-1]
    assert sorted(backwards, key=gravity_of) == rows


def data_of(page: str) -> Any:
    """What the page has for its script."""
    (text,) = re.findall('(?s)<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def test_what_is_not_an_element_is_data() -> None:
    """Every section that has room, the worst first, and every line in the order of the list."""
    rows = fleet(40)
    page = written(HtmlFormat(room=Room(findings=3, lines=5)), rows)
    data = data_of(page)
    assert [number for number, _ in data["sections"]] == [*range(1, 40, 2), *range(0, 40, 2)]
    assert data["lines"][:2] == [["w0", "ok", 1, 30, 0, 0, 0, 2, ""], ["w1", "ok", 1, 30, 1, 0, 0, 2, "r0"]]
    assert (len(data["lines"]), data["findings"]) == (40, 20)
    static = page.partition('<script type="application/json"')[0]
    assert re.findall(r'<article class="workspace" id="w(\d+)"', static) == ["1", "3", "5"]
    assert static.count("<tr data-w=") == 5
    assert all(section in page for _, section in data["sections"][:3])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_text_in_the_data_is_only_text(text: str) -> None:
    """It cannot end the element that it stands in, and makes no element when it is shown."""
    hostile, harmless = (data_of(written(HtmlFormat(), hostile_rows(each))) for each in (text, "harmless"))
    ((_, shown),), ((_, expected),) = hostile["sections"], harmless["sections"]
    assert Skeleton(shown).elements == Skeleton(expected).elements
    assert hostile["lines"][0][0] == visible(text)


def test_a_card_has_some_domains_and_counts_the_others() -> None:
    """An agent with a thousand domains must not push the others off the page."""
    card = card_of(AuditedAgent(SALES, tuple(f"{n}.example" for n in range(30))))
    assert (card.domains, card.more) == (tuple(f"{n}.example" for n in range(24)), 6)
    assert card_of(AuditedAgent(SALES, None, Failure("ServerError", "Oops."))).domains is None


@pytest.mark.parametrize(
    ("color", "fill", "ratio", "grade", "verdict"),
    [
        ("#000000", "#000000", "21.00:1", "good", "AAA"),
        ("#764ba2", "#764ba2", "6.36:1", "good", "AA"),
        ("#949494", "#949494", "3.03:1", "fair", "large text only"),
        ("#fff", "#fff", "1.00:1", "poor", "hard to read"),
        ("#11223344", "#11223344", "", "fair", "transparent: depends on what is behind"),
        ("purple", None, "", "poor", "not a hex colour"),
        ("#fff;}*{display:none}", None, "", "poor", "not a hex colour"),
        ("#ffffff\n", None, "", "poor", "not a hex colour"),
    ],
)
def test_a_colour_is_drawn_only_if_it_is_one(
    color: str, fill: str | None, ratio: str, grade: str, verdict: str
) -> None:
    """The contrast is that of white text on it, rounded down."""
    swatch = card_of(AuditedAgent(evolve(GLASS, secondary_color=color), ())).swatches[1]
    assert (swatch.fill, swatch.ratio, swatch.grade, swatch.verdict) == (fill, ratio, grade, verdict)


def test_shares_fill_the_bar() -> None:
    """Also where one is so small that it had to be widened, and where one is nothing."""
    parts = shares(("error", "errors", 1), ("warning", "warnings", 0), ("info", "info", 999))
    assert parts == (
        Share("error", "errors", 1, 0.0, 0.99),
        Share("warning", "warnings", 0, 1.49, 0.0),
        Share("info", "info", 999, 1.49, 98.51),
    )
    assert shares(("error", "errors", 0)) == (Share("error", "errors", 0),)


def test_a_trend_needs_two_runs() -> None:
    """It is sorted by time, has as many as can be told apart, and says how the last compares with the one before."""
    assert trends(PAST[:1]) == ()
    errors, warnings, infos = trends(PAST[::-1])
    assert (errors.now, errors.most, errors.change) == (2, 4, "2 fewer than before")
    assert (warnings.change, infos.change) == ("1 more than before", "as many as before")
    assert errors.columns == (
        Column(0.0, 0.0, 36.0, 40.0, 4, "19 Feb 2026, 14:30 UTC"),
        Column(50.0, 20.0, 36.0, 20.0, 2, "26 Feb 2026, 14:30 UTC"),
    )
    assert warnings.columns[0].height == 0.0
    many = [(NOW.replace(tzinfo=None) + timedelta(days=n), n, 0, 0) for n in range(RUNS + 6)]
    assert [each.number for each in trends(many)[0].columns] == list(range(6, RUNS + 6))
    assert trends(many)[0].columns[0].when == "11 Mar 2026, 14:30"


def test_the_run_itself_is_part_of_the_trend_if_its_moment_is_known() -> None:
    """Otherwise the trend is that of the past."""
    assert '<h2 id="trend">' in written(HtmlFormat(past=PAST))
    assert '<h2 id="trend">' in written(HtmlFormat(past=PAST[:1], when=NOW))
    assert '<h2 id="trend">' not in written(HtmlFormat(past=PAST[:1]))


def test_without_jinja2_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the format is made, so before anything is sent."""
    environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError) as caught:
        HtmlFormat()
    assert str(caught.value) == (
        "The format html needs jinja2, which is not installed. "
        "Install it: pip install '.[audit]' in a clone of chatloom_async."
    )
