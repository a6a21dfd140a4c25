"""The HTML report in Chromium: what it does, that it asks nothing of anybody, and that everybody can use it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chatloom_async.audit import Failure, Row
from chatloom_async.audit.formats.html import HtmlFormat
from chatloom_async.audit.formats.text import visible
from tests.audit.formats.reported import HOSTILE, NOW, ROWS, SHARED, TEXTS, WILDCARD, hostile_rows, written
from tests.chromium import MARKS, obstacles, running

pytest.importorskip("jinja2", reason="jinja2 is of the extra [html]")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is of the dependency group browser")

ADDRESS = "http://report.test/"  # answered here; nobody is asked

pytestmark = MARKS

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for the module."""
    with running(playwright) as browser:
        yield browser


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a report; in the end, its console must be empty, and nothing must have been asked for but itself."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def answer(route: Any, request: Any, report: str) -> None:
        if request.url == ADDRESS:
            return route.fulfill(body=report, content_type="text/html; charset=utf-8")
        asked.append(request.url)
        return route.abort()

    def open_report(report: str, *, at: str = "", **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.route("**/*", lambda route, request: answer(route, request, report))
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(ADDRESS + at)
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert (said, asked) == ([], [])


def report(rows: tuple[Row, ...] = ROWS) -> str:
    """With a trend."""
    past = [(NOW - timedelta(days=7 * n), 3 + n, 2, n) for n in range(1, 9)]
    return written(HtmlFormat(TEXTS, past=past, when=NOW), rows)


def shown(page: Any) -> list[str]:
    """The workspaces whose sections can be seen, in their order."""
    names: list[str] = page.locator("article:visible h3").all_text_contents()
    return names


FILTERS: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "nothing": ({}, "4 findings in 4 workspaces", ["acme", "cedar", "fjord", "birch"]),
    "severity": ({"severity": "Error"}, "1 of 4 findings in 1 of 4 workspaces", ["acme"]),
    "state": ({"state": "failed"}, "0 of 4 findings in 1 of 4 workspaces", ["cedar"]),
    "rule": ({"rule": "domain-shared (2)"}, "2 of 4 findings in 2 of 4 workspaces", ["acme", "fjord"]),
    "message": ({"text": "WILDCARD"}, "1 of 4 findings in 1 of 4 workspaces", ["acme"]),
    "domain of a card": ({"text": "*.com"}, "1 of 4 findings in 1 of 4 workspaces", ["acme"]),
    "name": ({"text": " Fjord "}, "1 of 4 findings in 1 of 4 workspaces", ["fjord"]),
    "both": ({"text": "acme", "severity": "Warning"}, "1 of 4 findings in 1 of 4 workspaces", ["acme"]),
    "no match": ({"text": "nobody"}, "0 of 4 findings in 0 of 4 workspaces", []),
}


@pytest.mark.parametrize(("values", "count", "names"), FILTERS.values(), ids=FILTERS)
def test_the_filter_shows_what_matches_and_counts_it(
    opened: Open, values: dict[str, str], count: str, names: list[str]
) -> None:
    """In the sections and in the table; a screen reader hears the count."""
    page = opened(report())
    for name, value in values.items():
        field = page.locator(f"[name={name}]")
        if name == "text":
            field.fill(value)
        else:
            field.select_option(label=value)
    playwright.expect(page.locator("#count")).to_have_text(count)
    assert shown(page) == names
    assert page.locator("#table tbody tr:visible").count() == len(names)
    assert page.locator("#nothing").is_visible() is (not names)
    page.locator("#filter [data-reset]").click()
    playwright.expect(page.locator("#count")).to_have_text("4 findings in 4 workspaces")


def test_sections_are_sorted_by_what_is_chosen_and_back(opened: Open) -> None:
    """The order of the file is the worst first."""
    page = opened(report())
    for order, names in (("name", ["acme", "birch", "cedar", "fjord"]), ("worst", ["acme", "cedar", "fjord", "birch"])):
        page.locator("[name=sort]").select_option(order)
        assert shown(page) == names


def test_the_table_is_sorted_by_its_headings(opened: Open) -> None:
    """With buttons, and `aria-sort` says how: numbers first downwards, names upwards."""
    page = opened(report())
    cells = page.locator("#table tbody tr > :first-child")
    for heading, names in (
        ("Requests", ["fjord", "acme", "birch", "cedar"]),
        ("Requests", ["cedar", "birch", "acme", "fjord"]),
        ("Workspace", ["acme", "birch", "cedar", "fjord"]),
    ):
        page.get_by_role("button", name=heading, exact=True).click()
        assert cells.all_inner_texts() == names
    assert page.locator("[aria-sort]").all_text_contents() == ["Workspace"]
    assert page.locator("[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_a_long_table_comes_in_pieces(opened: Open) -> None:
    """Thousands of lines at once would make every click slow."""
    page = opened(report(tuple(evolve(ROWS[0], workspace=f"w{n}") for n in range(300))))
    lines = page.locator("#table tbody tr:visible")
    assert lines.count() == 250
    page.get_by_role("button", name="Show 50 more lines of 50").click()
    assert lines.count() == 300
    assert page.locator("#more").is_hidden()


def many(number: int) -> tuple[Row, ...]:
    """Workspaces with three findings each, of ids of their own."""
    return tuple(
        evolve(
            ROWS[1],
            workspace=f"w{place}",
            findings=tuple(evolve(found, id=f"{found.rule}{place}") for found in ROWS[1].findings),
        )
        for place in range(number)
    )


def test_sections_come_in_pieces(opened: Open) -> None:
    """And cards of agents when their fold is opened: a page of half a million elements would stand still."""
    page = opened(report(many(50)))
    assert page.locator("article").count() == 20
    page.get_by_role("button", name="Show 20 more workspaces of 30").click()
    page.get_by_role("button", name="Show 10 more workspaces of 10").click()
    assert page.locator("article").count() == 50
    assert page.locator("#more-sections").is_hidden()
    assert page.locator(".card").count() == 0
    page.locator("article", has_text="w49").locator(".agents summary").click()
    playwright.expect(page.locator(".card h4")).to_have_text(["Sales Assistant", "Product Advisor"])


def test_the_address_of_a_finding_that_is_not_on_the_screen_shows_its_workspace(opened: Open) -> None:
    """Alone, until the filter is cleared. An address that names nothing changes nothing."""
    page = opened(report(many(50)), at="#finding-domain-wildcard45")
    playwright.expect(page.locator("#finding-domain-wildcard45")).to_be_focused()
    assert shown(page) == ["w45"]
    page.locator("#filter [data-reset]").click()
    assert page.locator("article").count() == 20
    page.evaluate("location.hash = 'finding-of-another-report'")
    assert page.locator("article").count() == 20


def test_without_scripts_the_first_hundred_findings_are_there(opened: Open) -> None:
    """And the page says what is not."""
    page = opened(report(many(150)), java_script_enabled=False)
    assert page.locator(".findings tbody tr").count() == 102
    assert page.locator("#table tbody tr").count() == 100
    assert page.locator("noscript .notice").all_inner_texts() == [
        "Without scripts, this part shows 34 workspaces of 150.",
        "Without scripts, the table shows 100 workspaces of 150.",
    ]


def test_on_paper_there_is_more_than_on_the_screen(opened: Open) -> None:
    """Two hundred sections and a thousand lines."""
    page = opened(report(many(300)))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (page.locator("article").count(), page.locator("#table tbody tr").count()) == (200, 300)


@pytest.mark.parametrize("found", [WILDCARD, SHARED])
def test_a_findings_address_leads_to_it(opened: Open, found: Any) -> None:
    """When the page is opened with it, and later, too, also where a filter hides it."""
    page = opened(report(), at=f"#finding-{found.id}")
    target = page.locator(f"#finding-{found.id}")
    playwright.expect(target).to_be_in_viewport()
    playwright.expect(target).to_be_focused()
    bar, row = page.locator("#filter").bounding_box(), target.bounding_box()
    assert row["y"] >= bar["y"] + bar["height"]  # not below the filter, which stays on the screen
    page.locator("[name=text]").fill("cedar")
    playwright.expect(target).to_be_hidden()
    page.evaluate("location.hash = ''")
    page.evaluate("id => { location.hash = id }", f"finding-{found.id}")
    playwright.expect(target).to_be_in_viewport()
    playwright.expect(page.locator("[name=text]")).to_have_value("")


def test_the_table_leads_to_the_sections(opened: Open) -> None:
    """A link for each workspace that has one."""
    page = opened(report())
    page.locator("#table").get_by_role("link", name="birch").click()
    target = page.get_by_role("heading", name="birch").get_attribute("id")
    page.wait_for_function("id => document.activeElement.id === id", arg=target)
    assert page.evaluate("document.activeElement.textContent").startswith("birch")


def test_why_and_how_to_fix_are_one_key_away(opened: Open) -> None:
    """A finding's rule is a button; Escape closes what it opens, and returns to it."""
    page = opened(report())
    button = page.locator("article").get_by_role("button", name="domain-wildcard")
    button.focus()
    page.keyboard.press("Enter")
    about = page.get_by_role("dialog", name="About domain-wildcard")
    playwright.expect(about).to_contain_text("List the host names one by one.")
    page.keyboard.press("Escape")
    playwright.expect(about).to_be_hidden()
    playwright.expect(button).to_be_focused()


def test_a_rule_shows_its_findings(opened: Open) -> None:
    """From the list of what was found."""
    page = opened(report())
    page.locator(".rule", has_text="domains-empty").locator("summary").click()
    page.get_by_role("button", name="Show the finding").click()
    playwright.expect(page.locator("#count")).to_have_text("1 of 4 findings in 1 of 4 workspaces")


def test_nothing_that_a_tenant_writes_acts(opened: Open) -> None:
    """All of it in one page: no dialog, no request, nothing in the console, and the script still works."""
    made = [hostile_rows(text)[0] for text in HOSTILE.values()]
    rows = tuple(evolve(row, workspace=f"{number} {row.workspace}") for number, row in enumerate(made))
    page = opened(report(rows))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.locator("#more-sections button").click()
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert page.locator("article h3").count() == len(HOSTILE)
    playwright.expect(page.locator(".card")).to_have_count(len(HOSTILE))
    page.locator("[name=text]").fill(visible(HOSTILE["style"]))
    playwright.expect(page.locator("#count")).to_contain_text("in 1 of")


SCREENS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 400, "height": 860}},
    "paper": {},
}


def unfolded(opened: Open, name: str, **options: Any) -> Any:
    """The report with everything open that can be."""
    failed = evolve(ROWS[2], workspace="dôme", error=Failure("ConnectError", "No answer."))
    page = opened(report((*ROWS, failed)), **SCREENS[name], **options)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    playwright.expect(page.locator(".card").first).to_be_attached()
    page.evaluate("document.querySelectorAll('article').forEach(each => { each.style.contentVisibility = 'visible' })")
    return page


@pytest.mark.parametrize("name", ["light", "dark", "narrow"])
def test_everybody_can_use_it(opened: Open, name: str) -> None:
    """axe-core finds nothing serious; a popover is open, too."""
    page = unfolded(opened, name, bypass_csp=True)  # so that the checker may be loaded into it
    for _ in range(2):
        assert obstacles(page) == []
        page.locator("article").get_by_role("button", name="domain-wildcard").click()


@pytest.mark.parametrize("name", SCREENS)
def test_it_can_be_looked_at(opened: Open, tmp_path: Path, name: str) -> None:
    """A picture of each kind is left in pytest's folder; none is wider than its screen."""
    page = unfolded(opened, name)
    if name == "paper":
        raw = page.pdf(path=tmp_path / "paper.pdf", format="A4")
        assert raw.startswith(b"%PDF")
    else:
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 1200])
def test_the_line_of_a_rule_is_not_broken(opened: Open, width: int) -> None:
    """Also where it found something in hundreds of workspaces."""
    rows = tuple(evolve(ROWS[1], workspace=f"w{number}") for number in range(280))
    page = opened(written(HtmlFormat(TEXTS), rows), viewport={"width": width, "height": 800})
    shown = page.evaluate("[...document.querySelectorAll('.where')].map(each => [each.innerText, each.offsetHeight])")
    assert {(text, height < 24) for text, height in shown} == {("in 280 workspaces", True)}
