"""Chromium for tests: one that is installed (Debian's `chromium`, or another one on PATH); nothing is downloaded.

Needs the dependency group `browser`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]


@contextmanager
def running(playwright: Any) -> Iterator[Any]:
    """A browser with a profile that is empty and goes away. `playwright` is playwright.sync_api."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--disable-sync"])
        yield browser
        browser.close()


def obstacles(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core, the checker that browsers build on, finds serious. The page's policy must let it be loaded."""
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("() => axe.run()")["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found if each["impact"] != "minor"]
